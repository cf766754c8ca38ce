import { describe, expect, it } from 'vitest';
import page from '../../functions/page.ts';
import type { PageDefinition } from '../../shared/function/definitions.ts';

type Headers = Parameters<PageDefinition['tokenOf']>[0];

describe('the page', () => {
  it.each<[headers: Headers, token: string | undefined]>([
    [{}, undefined],
    [{ authorization: 'Bearer abc' }, 'abc'],
    [{ authorization: 'bearer a.b-c_d~e+f/g==' }, 'a.b-c_d~e+f/g=='],
    [{ authorization: ['Bearer first', 'Bearer second'] }, 'first'],
    [{ authorization: 'Basic YTpi' }, undefined],
    [{ authorization: 'abc' }, undefined],
    [{ authorization: 'Bearer ' }, undefined],
    [{ authorization: 'Bearer a b' }, undefined],
    [{ authorization: 'Bearer a=b' }, undefined],
    [{ authorization: 'Bearer a\r\nX-Other: b' }, undefined],
    [{ authorization: 'x Bearer abc' }, undefined],
    [{ authorization: [] }, undefined],
    [{ 'x-forwarded-access-token': 'abc' }, 'abc'],
    [{ 'x-forwarded-access-token': ['first', 'second'] }, 'first'],
    [{ 'x-forwarded-access-token': '' }, undefined],
    [{ authorization: 'Bearer mine', 'x-forwarded-access-token': 'abc' }, 'mine'],
    [{ authorization: 'Basic YTpi', 'x-forwarded-access-token': 'abc' }, 'abc'],
  ])('takes from %j the token %s', (headers, token) => {
    expect(page.tokenOf(headers)).toBe(token);
  });

  it('says to whom it knows no token where to open it, and which header takes one', () => {
    for (const word of ['proxy', 'Authorization (Bearer)', 'X-Forwarded-Access-Token', 'knative/PAGE.md'])
      expect(page.signIn).toContain(word);
  });

  it('has no rights of its own, and is off unless somebody asks for it', () => {
    expect(page).toMatchObject({ kind: 'page', permissions: [], isOptional: true });
  });
});
