/** An image's name in its parts: `registry:5000/team/app:1.2@sha256:...`. */
export interface ImageReference {
  readonly repository: string | undefined;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const IMAGE_ID = /^(?:sha256:)?[0-9a-f]{64}$/;

/** A name without tag and digest means the tag `latest`, to every engine. An image's id has no name. */
export function parseImageReference(text: string): ImageReference {
  if (text === '' || IMAGE_ID.test(text)) return { repository: undefined, tag: undefined, digest: undefined };
  const [name = '', digest] = text.split('@', 2);
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1);
  const tag = colon < 0 ? undefined : name.slice(colon + 1);
  return {
    repository: colon < 0 ? name : name.slice(0, colon),
    tag: tag ?? (digest === undefined ? 'latest' : undefined),
    digest,
  };
}

export interface ImageNames {
  /** As whoever started the container named it. */
  readonly named: string;
  readonly tags: readonly string[];
  /** `repository@sha256:...`. */
  readonly digests: readonly string[];
}

/** Repository, tag and digest of an image that may have been named by its id: then by the first of the names that it has. */
export function imageParts({ named, tags, digests }: ImageNames): ImageReference {
  const own = parseImageReference(named);
  const [first] = tags.map(parseImageReference);
  const repository = own.repository ?? first?.repository ?? parseImageReference(digests[0] ?? '').repository;
  const ofRepository = digests.map(parseImageReference).find((each) => each.repository === repository);
  return {
    repository,
    tag: own.tag ?? tags.map(parseImageReference).find((each) => each.repository === repository)?.tag,
    digest: own.digest ?? ofRepository?.digest ?? digests.map(parseImageReference)[0]?.digest,
  };
}
