import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskMatches, maskSecrets, maskText } from '../../shared/finding/mask-secrets.ts';

describe('maskText and maskSecrets', () => {
  it.each([
    ['psql --password PLANTED -h db', 'psql --password *** -h db'],
    ['tool --password=PLANTED next', 'tool --password=*** next'],
    ['tool --api-key "PLANTED" next', 'tool --api-key "***" next'],
    ['tool --db.password PLANTED', 'tool --db.password ***'],
    ['PGPASSWORD=PLANTED psql', 'PGPASSWORD=*** psql'],
    ['export AWS_SECRET_ACCESS_KEY=PLANTED; ls', 'export AWS_SECRET_ACCESS_KEY=***; ls'],
    ['{"password": "PLANTED", "user": "eve"}', '{"password": "***", "user": "eve"}'],
    ['curl -H "Authorization: Bearer PLANTED" https://x', 'curl -H "Authorization: Bearer ***" https://x'],
    ['curl -H Authorization:PLANTED', 'curl -H Authorization:***'],
    ['Authorization: Basic PLANTED', 'Authorization: Basic ***'],
    ['curl https://x/?access_token=PLANTED&page=2', 'curl https://x/?access_token=***&page=2'],
    ['curl https://x/?apikey=PLANTED', 'curl https://x/?apikey=***'],
    ['git clone https://eve:PLANTED@example.com/r.git', 'git clone https://eve:***@example.com/r.git'],
    ['curl -u eve:PLANTED https://x', 'curl -u eve:*** https://x'],
    ['mysql -h db -uroot -pPLANTED shop', 'mysql -h db -uroot -p*** shop'],
    ['sshpass -p PLANTED ssh x', 'sshpass -p *** ssh x'],
    ['aws configure set AKIAIOSFODNN7EXAMPLE', 'aws configure set ***'],
    [`echo ghp_${'a'.repeat(36)}`, 'echo ***'],
    ['echo eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeK', 'echo ***'],
    ['-----BEGIN RSA PRIVATE KEY-----\nPLANTED\n-----END RSA PRIVATE KEY-----', '***'],
  ])('%s', (text, masked) => {
    expect(maskText(text)).toBe(masked);
  });

  it.each([
    'cat /etc/shadow',
    'kubectl get secrets -n shop',
    'kubectl get secret db --output yaml',
    'A shell was spawned in a container with an attached terminal (user=root shell=bash)',
    'grep -p pattern file',
    'https://example.com:8080/path@here',
    'token refresh done',
    'mysql --protocol tcp',
  ])('leaves %s unchanged', (text) => {
    expect(maskText(text)).toBe(text);
  });

  it('masks strings inside lists and objects, and changes nothing else', () => {
    const value = { a: ['--token PLANTED', 1, null], b: { c: 'password=PLANTED', d: true } };
    expect(maskSecrets(value)).toEqual({ a: ['--token ***', 1, null], b: { c: 'password=***', d: true } });
  });

  it('masks a member whose key names a secret, and whatever is nested too deeply to check', () => {
    expect(maskSecrets({ password: 'PLANTED', apiToken: 'PLANTED', tokens: 3 })).toEqual({
      password: '***',
      apiToken: '***',
      tokens: 3,
    });
    let deep: unknown = 'PLANTED';
    for (let level = 0; level < 100; level += 1) deep = { a: deep };
    expect(JSON.stringify(maskSecrets(deep))).not.toContain('PLANTED');
  });

  it('gives the same result with and without the quick test', () => {
    const words = ['pass', 'pwd=', 'secret:', 'Token ', 'api_key=', 'credential ', 'Authorization: ', 'Bearer ', '://'];
    const formats = [
      '-u',
      ' -p',
      'mysql',
      'sshpass',
      'AKIA',
      'ghp_',
      'github_pat_',
      'glpat-',
      'xoxb-',
      'eyJ',
      'PRIVATE KEY',
    ];
    const rest = ['--', 'x', ' ', '=', ':', '@', '"', 'a'.repeat(20), 'A1'.repeat(8), '-----BEGIN ', '-----'];
    const text = fc
      .array(fc.constantFrom(...words, ...formats, ...rest), { maxLength: 12 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, (one) => maskText(one) === maskMatches(one)),
      { numRuns: 2000 },
    );
  });

  it('is deterministic, and masking twice changes nothing', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (text) => {
        const once = maskText(text);
        expect(maskText(text)).toBe(once);
        expect(maskText(once)).toBe(once);
      }),
    );
  });

  it('masks a planted secret whatever surrounds it', () => {
    const before = fc.constantFrom(
      '--password ',
      '--token=',
      'API_KEY=',
      'Authorization: Bearer ',
      'https://u:',
      '"secret": "',
    );
    const around = fc.stringMatching(/^[a-z /]{0,20}$/);
    fc.assert(
      fc.property(around, before, around, (head, name, tail) => {
        const after = name === 'https://u:' ? '@host ' : name.endsWith('"') ? '" ' : ' ';
        expect(maskText(`${head} ${name}PLANTEDSECRET123${after}${tail}`)).not.toContain('PLANTEDSECRET123');
      }),
    );
  });

  it('finishes on hostile input', () => {
    const hostile = [
      'a',
      'a-',
      'a:',
      '--password ',
      'token',
      'mysql ',
      'https://',
      'eyJ.',
      '-----BEGIN ',
      'authorization: ',
    ];
    for (const part of hostile) {
      const text = part.repeat(Math.ceil(100_000 / part.length));
      expect(maskText(text).length).toBeLessThanOrEqual(16_384 * 2);
    }
  });
});
