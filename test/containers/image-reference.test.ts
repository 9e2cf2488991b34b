import assert from 'node:assert/strict';
import { it } from 'node:test';
import { imageParts, parseImageReference } from '../../collector/containers/image-reference.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

const REFERENCES: readonly (readonly [text: string, repository?: string, tag?: string | undefined, digest?: string])[] =
  [
    ['busybox', 'busybox', 'latest'],
    ['busybox:1.36', 'busybox', '1.36'],
    ['registry.test:5000/team/app', 'registry.test:5000/team/app', 'latest'],
    ['registry.test:5000/team/app:2', 'registry.test:5000/team/app', '2'],
    [`registry.test:5000/app@${DIGEST}`, 'registry.test:5000/app', undefined, DIGEST],
    [`registry.test:5000/app:2@${DIGEST}`, 'registry.test:5000/app', '2', DIGEST],
    [DIGEST],
    ['a'.repeat(64)],
    [''],
  ];

for (const [text, repository, tag, digest] of REFERENCES) {
  it(`reads '${text}'`, () => {
    assert.deepEqual(parseImageReference(text), { repository, tag, digest });
  });
}

it('names an image that was started by its id after its first name', () => {
  const tags = ['app:1', 'other:2'];
  assert.deepEqual(imageParts({ named: DIGEST, tags, digests: [`app@${DIGEST}`] }), {
    repository: 'app',
    tag: '1',
    digest: DIGEST,
  });
});

it('takes the digest of the repository that was named, where an image has several', () => {
  const digests = [`mirror.test/app@sha256:${'b'.repeat(64)}`, `app@${DIGEST}`];
  assert.equal(imageParts({ named: 'app:1', tags: [], digests }).digest, DIGEST);
});

it('finds the tag of an image that was named by its digest', () => {
  const parts = imageParts({ named: `app@${DIGEST}`, tags: ['other:1', 'app:7'], digests: [] });
  assert.deepEqual(parts, { repository: 'app', tag: '7', digest: DIGEST });
});

it('makes nothing up about an image without a name', () => {
  assert.deepEqual(imageParts({ named: DIGEST, tags: [], digests: [] }), {
    repository: undefined,
    tag: undefined,
    digest: undefined,
  });
});
