import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonicalAddress, canonicalNetwork, NetworkSet } from '../../rules/language/address.ts';

describe('addresses', () => {
  const canonical: [string, string | undefined][] = [
    ['10.0.0.1', '10.0.0.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['10.0.0', undefined],
    ['10.0.0.256', undefined],
    ['10.0.0.1.2', undefined],
    ['10..0.1', undefined],
    ['', undefined],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::ffff:1.2.3.4', '::ffff:102:304'],
    ['1::2::3', undefined],
    ['1:2:3:4:5:6:7:8:9', undefined],
    [':1::', undefined],
    ['12345::', undefined],
    ['1:', undefined],
  ];
  for (const [text, expected] of canonical) {
    it(`reads '${text}' as ${expected}`, () => assert.equal(canonicalAddress(text), expected));
  }

  it('agrees with Node about what an IPv6 address is', () => {
    const part = fc.constantFrom('0', 'ffff', '1', 'abcd', ':', '::', ':', ':', '1.2.3.4', '12345', 'g');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 17 }), (parts) => {
        const text = parts.join('');
        if (/^[\d.]*$/.test(text)) return;
        assert.equal(canonicalAddress(text) !== undefined, isIPv6(text), text);
      }),
      { numRuns: 5000 },
    );
  });

  it('keeps its meaning when written and read again', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const once = canonicalAddress(text)!;
        assert.equal(canonicalAddress(once), once);
        assert.equal(new URL(`http://[${text}]/`).hostname, `[${once}]`);
      }),
    );
  });
});

describe('networks', () => {
  const canonical: [string, string | undefined][] = [
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['10.1.2.3/32', '10.1.2.3/32'],
    ['10.1.2.3/0', '0.0.0.0/0'],
    ['10.1.2.3/33', undefined],
    ['10.1.2.3', undefined],
    ['10.1.2.3/x', undefined],
    ['fe80::1/10', 'fe80::/10'],
    ['2001:db8:ffff::1/33', '2001:db8:8000::/33'],
    ['::1/129', undefined],
  ];
  for (const [text, expected] of canonical) {
    it(`reads '${text}' as ${expected}`, () => assert.equal(canonicalNetwork(text), expected));
  }

  const networks = new NetworkSet(['10.0.0.0/8', '192.168.1.128/25', '1.2.3.4/32', 'fe80::/10', '2001:db8:8000::/33']);
  const members: [string, boolean][] = [
    ['10.255.0.1', true],
    ['11.0.0.1', false],
    ['192.168.1.129', true],
    ['192.168.1.127', false],
    ['1.2.3.4', true],
    ['1.2.3.5', false],
    ['febf::1', true],
    ['fec0::1', false],
    ['2001:db8:8000::1', true],
    ['2001:db8:7fff::1', false],
    ['::ffff:10.1.1.1', true],
    ['::ffff:11.1.1.1', false],
    ['not an address', false],
  ];
  for (const [address, expected] of members) {
    it(`${expected ? 'has' : 'does not have'} ${address}`, () => assert.equal(networks.has(address), expected));
  }

  it('holds everything below /0', () => {
    assert.equal(new NetworkSet(['0.0.0.0/0']).has('255.1.1.1'), true);
    assert.equal(new NetworkSet(['0.0.0.0/0']).has('::1'), false);
    assert.equal(new NetworkSet(['::/0']).has('ffff::1'), true);
  });
});
