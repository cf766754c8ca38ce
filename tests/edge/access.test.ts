import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAccess } from '../../shared/edge/access.ts';
import { plainAddress } from '../../shared/edge/client-address.ts';
import { isAddressOrCidr } from '../../shared/function/access-options.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { TokenPlaces } from '../../shared/function/triggers.ts';
import { temporaryFolder } from '../host/program.ts';

const open = { tokens: [], allowedAddresses: [], trustedProxies: [] };
const clock = { now: 0 };

function answer(
  options: Partial<Parameters<typeof createAccess>[0]>,
  headers: Record<string, string> = {},
  remoteAddress: string | undefined = '198.51.100.7',
): number {
  return answerOf(
    createAccess({ ...open, ...options }, () => clock.now),
    headers,
    remoteAddress,
  );
}

function answerOf(
  access: ReturnType<typeof createAccess>,
  headers: Record<string, string> = {},
  remoteAddress: string | undefined = '198.51.100.7',
  places?: TokenPlaces,
): number {
  try {
    access.check({ headers, remoteAddress }, places);
    return 204;
  } catch (error) {
    if (error instanceof Refusal) return error.status;
    throw error;
  }
}

/** Seconds. */
function retryAfterOf(ask: () => void): number {
  try {
    ask();
  } catch (error) {
    if (error instanceof Refusal && error.status === 429 && error.retryAfter !== undefined) return error.retryAfter;
    throw error;
  }
  throw new Error('it was let in');
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('access to the webhooks', () => {
  it('is open where nothing is asked for', () => {
    expect(answer({})).toBe(204);
    expect(createAccess(open, () => 0).isOpen).toBe(true);
    expect(createAccess({ ...open, tokens: ['a'] }, () => 0).isOpen).toBe(false);
    expect(createAccess({ ...open, allowedAddresses: ['::1'] }, () => 0).isOpen).toBe(false);
  });

  it.each([
    ['the first token', bearer('one'), 204],
    ['the second, while both are good', bearer('two'), 204],
    ['the scheme in another case', { authorization: 'bearer one' }, 204],
    ['no header', {}, 401],
    ['another token', bearer('three'), 401],
    ['the beginning of one', bearer('on'), 401],
    ['more than one', bearer('one two'), 401],
    ['both at once', bearer('one,two'), 401],
    ['another scheme', { authorization: 'Basic one' }, 401],
    ['the bare token', { authorization: 'one' }, 401],
    ['an empty token', { authorization: 'Bearer ' }, 401],
    ['a token in a list', { authorization: 'Bearer three, Bearer one' }, 401],
  ])('with %s', (_case, headers, status) => {
    expect(answer({ tokens: ['one', 'two'] }, headers as Record<string, string>)).toBe(status);
  });

  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
  it.each([
    ['the token as the password', basic('falco:o/e'), 204],
    ['any user', basic(':o/e'), 204],
    ['the password as a URL spells it', basic('falco:o%2Fe'), 204],
    ['a token with colons and percent signs', basic('falco:a:b%'), 204],
    ['a Bearer token', bearer('o/e'), 204],
    ['the token as the user', basic('o/e:'), 401],
    ['no colon', basic('o/e'), 401],
    ['no password', basic('falco:'), 401],
    ['another password', basic('falco:o'), 401],
    ['no base64', { authorization: 'Basic !' }, 401],
  ])('takes Basic where it may: %s', (_case, headers, status) => {
    const access = createAccess({ ...open, tokens: ['o/e', 'a:b%'] }, () => clock.now);
    expect(answerOf(access, headers, undefined, { takesBasic: true })).toBe(status);
    if (!('authorization' in headers && headers.authorization.startsWith('Bearer'))) {
      expect(answerOf(access, headers)).toBe(401);
    }
  });

  it('follows the token file while it runs', () => {
    const tokenFile = join(temporaryFolder(), 'token');
    writeFileSync(tokenFile, 'old\n');
    const access = createAccess({ ...open, tokenFile }, () => clock.now);
    expect(answerOf(access, bearer('old'))).toBe(204);
    writeFileSync(tokenFile, 'old\nnew\n');
    clock.now += 5000;
    expect([answerOf(access, bearer('old')), answerOf(access, bearer('new'))]).toEqual([204, 204]);
    writeFileSync(tokenFile, 'new\n');
    clock.now += 5000;
    expect([answerOf(access, bearer('old')), answerOf(access, bearer('new'))]).toEqual([401, 204]);
    writeFileSync(tokenFile, '');
    clock.now += 5000;
    expect([answerOf(access, bearer('new')), answerOf(access, {})]).toEqual([401, 401]);
  });

  it('does not start without the token file, nor with an empty one', () => {
    const folder = temporaryFolder();
    expect(() => createAccess({ ...open, tokenFile: join(folder, 'none') }, () => 0)).toThrow();
    writeFileSync(join(folder, 'empty'), '\n \n');
    expect(() => createAccess({ ...open, tokenFile: join(folder, 'empty') }, () => 0)).toThrow('no token');
  });

  const allowed = { allowedAddresses: ['192.0.2.0/24', '2001:db8::/32', '203.0.113.9'] };
  it.each([
    ['192.0.2.1', 204],
    ['::ffff:192.0.2.1', 204],
    ['192.0.3.1', 403],
    ['203.0.113.9', 204],
    ['203.0.113.90', 403],
    ['2001:db8:1::1', 204],
    ['2001:db9::1', 403],
    ['::1', 403],
    ['', 403],
  ])('from %s', (address, status) => {
    expect(answer(allowed, {}, address)).toBe(status);
  });

  const proxied = { ...allowed, trustedProxies: ['127.0.0.0/8', '::1', '10.0.0.0/8'] };
  it.each<[string, Record<string, string>, string, number]>([
    ['the word of a proxy', { 'x-forwarded-for': '192.0.2.1' }, '127.0.0.1', 204],
    ['the word of a v6 proxy', { 'x-forwarded-for': '2001:db8::5' }, '::1', 204],
    ['the word of two', { 'x-forwarded-for': '192.0.2.1, 10.1.1.1' }, '::ffff:127.0.0.1', 204],
    ['the word of somebody else', { 'x-forwarded-for': '192.0.2.1' }, '198.51.100.7', 403],
    ['what the client itself put first', { 'x-forwarded-for': '192.0.2.1, 198.51.100.7' }, '127.0.0.1', 403],
    ['a port with it', { 'x-forwarded-for': '192.0.2.1:4711' }, '127.0.0.1', 204],
    ['brackets', { 'x-forwarded-for': '[2001:db8::1]:80' }, '127.0.0.1', 204],
    ['nonsense', { 'x-forwarded-for': 'unknown' }, '127.0.0.1', 403],
    ['nonsense behind it', { 'x-forwarded-for': '192.0.2.1, x' }, '127.0.0.1', 403],
    ['nothing', { 'x-forwarded-for': '' }, '127.0.0.1', 403],
    ['no word at all', {}, '127.0.0.1', 403],
    ['Forwarded', { forwarded: 'for=192.0.2.1;proto=https' }, '127.0.0.1', 204],
    ['Forwarded, quoted', { forwarded: 'proto=https;For="[2001:db8::1]:8080"' }, '127.0.0.1', 204],
    ['Forwarded, of somebody else', { forwarded: 'for=192.0.2.1' }, '198.51.100.7', 403],
    [
      'Forwarded, made up by the client, beside what the proxy says',
      { forwarded: 'for=192.0.2.1', 'x-forwarded-for': '198.51.100.7' },
      '127.0.0.1',
      403,
    ],
    ['Forwarded, hidden', { forwarded: 'for=_hidden' }, '127.0.0.1', 403],
  ])('by %s', (_case, headers, address, status) => {
    expect(answer(proxied, headers, address)).toBe(status);
  });

  it('asks for address and token where both are set', () => {
    const both = { ...allowed, tokens: ['t'] };
    expect(answer(both, bearer('t'), '192.0.2.1')).toBe(204);
    expect(answer(both, {}, '192.0.2.1')).toBe(401);
    expect(answer(both, bearer('t'), '198.51.100.7')).toBe(403);
  });

  it('lets each client do so many requests a minute, and says when to come again', () => {
    clock.now = 0;
    const access = createAccess({ ...open, requestsPerMinute: 3 }, () => clock.now);
    const ask = (address: string) => answerOf(access, {}, address);
    expect([1, 2, 3, 4].map(() => ask('192.0.2.1'))).toEqual([204, 204, 204, 429]);
    expect(ask('192.0.2.2')).toBe(204);
    // Whoever comes when he is told to is let in, again and again, and over the minutes as often as is allowed.
    let taken = 3;
    while (clock.now < 600_000) {
      clock.now += retryAfterOf(() => access.check({ headers: {}, remoteAddress: '192.0.2.1' })) * 1000;
      expect(ask('192.0.2.1')).toBe(204);
      taken += 1;
    }
    expect(taken).toBeGreaterThanOrEqual(27);
    expect(taken).toBeLessThanOrEqual(35);
    clock.now += 180_000;
    expect([1, 2, 3, 4].map(() => ask('192.0.2.1'))).toEqual([204, 204, 204, 429]);
  });

  it('takes nothing from who knows a token for what others guess', () => {
    clock.now = 0;
    const access = createAccess({ ...open, tokens: ['good'], requestsPerMinute: 3 }, () => clock.now);
    const guesses = Array.from({ length: 10 }, (_, guess) => answerOf(access, bearer(`guess-${guess}`)));
    expect(guesses).toEqual([401, 401, 401, 429, 429, 429, 429, 429, 429, 429]);
    expect([1, 2, 3, 4].map(() => answerOf(access, bearer('good')))).toEqual([204, 204, 204, 429]);
    expect(answerOf(access, {}, '192.0.2.1')).toBe(401);
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', true],
    ['2001:db8:1:2::1', '2001:0DB8:0001:2::1', true],
    ['2001:db8::1', '2001:db8:0:0:5::', true],
    ['::1', '::2', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['192.0.2.1', '192.0.2.2', false],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.2', false],
    ['::ffff:192.0.2.1', '192.0.2.1', true],
  ])('counts %s and %s as one client: %s', (one, other, isOne) => {
    const access = createAccess({ ...open, requestsPerMinute: 1 }, () => 0);
    expect(answerOf(access, {}, one)).toBe(204);
    expect(answerOf(access, {}, other)).toBe(isOne ? 429 : 204);
  });

  it('never takes what is no address for one', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.ipV4(),
          fc.ipV6(),
          fc.ipV4().map((ip) => `::ffff:${ip}`),
        ),
        (text) => {
          const address = plainAddress(text);
          return address === undefined || isAddressOrCidr(address);
        },
      ),
    );
    expect([plainAddress('::ffff:10.0.0.1'), plainAddress('[fe80::1%eth0]:80'), plainAddress('10.0.0.1:1')]).toEqual([
      '10.0.0.1',
      'fe80::1',
      '10.0.0.1',
    ]);
  });

  it.each([
    ['10.0.0.1', true],
    ['10.0.0.0/8', true],
    ['::1/128', true],
    ['2001:db8::/32', true],
    ['10.0.0.0/33', false],
    ['::/129', false],
    ['10.0.0.0/-1', false],
    ['10.0.0.0/8/8', false],
    ['10.0.0', false],
    ['localhost', false],
    ['', false],
  ])('setting %s', (text, isGood) => {
    expect(isAddressOrCidr(text)).toBe(isGood);
  });
});
