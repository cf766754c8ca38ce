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
    ['found value: DB_PASSWORD=PLANTED-1', 'found value: DB_PASSWORD=***'],
    ['DB_PASS=PLANTED ./run', 'DB_PASS=*** ./run'],
    ['AWS_SECRET_KEY: PLANTED', 'AWS_SECRET_KEY: ***'],
    ['the password: PLANTED and more of it', 'the password: *** and more of it'],
    ['password: 12345678', 'password: ***'],
    ['{"password": "PLANTED with spaces", "user": "eve"}', '{"password": "***", "user": "eve"}'],
    ["password='PLANTED with spaces'", "password='***'"],
    [String.raw`"{\"token\":\"PLANTED\",\"a\":1}"`, String.raw`"{\"token\":\"***\",\"a\":1}"`],
    ['env: {"name": "DB_PASSWORD", "value": "PLANTED"}', 'env: {"name": "DB_PASSWORD", "value": "***"}'],
    ['- name: API_TOKEN\n  value: PLANTED', '- name: API_TOKEN\n  value: ***'],
    ['secrets: password=PLANTED', 'secrets: ***'],
    ['secrets=[token=PLANTED]', 'secrets=[token=***'],
    ['token: PLANTED user: eve', 'token: *** user: eve'],
    ['curl -H "Cookie: session=PLANTED; a=b"', 'curl -H "Cookie: ***"'],
    ['https://x.example.com/blob?sv=1&sig=PLANTED&se=2', 'https://x.example.com/blob?sv=1&sig=***&se=2'],
    [
      'kubectl create secret generic x --from-literal=key=PLANTED',
      'kubectl create secret generic x --from-literal=key=***',
    ],
    ['docker login -u eve -p PLANTED registry', 'docker login -u eve -p *** registry'],
    ['redis-cli -h db -a PLANTED', 'redis-cli -h db -a ***'],
    [`key ${'AIza'}${'a'.repeat(35)}`, 'key ***'],
    [`stripe ${'sk_live_'}${'a'.repeat(24)}`, 'stripe ***'],
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
    'Ensure that the --token-auth-file argument is not set',
    'Ensure that the --use-service-account-credentials argument is set to true',
    '--use-service-account-credentials=true',
    'automountServiceAccountToken: false',
    'edit the file to set authorization: mode to Webhook',
    'password must be set, and the Secret shop/db has none',
    'password: must be set',
    'secrets: none',
    'secrets: 3, tokens: 2',
    'ClusterRole ops may do secrets: get, list, watch',
    'env DB_PASSWORD: {secretKeyRef: {name: db, key: password}}',
    'imagePullSecrets: - name: registry',
    'DB_PASSWORD=$(DB_PASSWORD_FROM_SECRET)',
    `PGPASSWORD=$\{PGPASSWORD} psql`,
    'token=<NA> user=root',
    'token: /var/run/secrets/kubernetes.io/serviceaccount/token',
    'no-token/validate-automountServiceAccountToken: validation error: mounting of tokens is not allowed',
    'no-token/validate-automountServiceAccountToken: Auto-mounting of tokens is not allowed',
    'Authentication and Authorization: Client certificate authentication should not be used',
    '"apiserver.latency.k8s.io/authorization":"4.667µs"',
    '{"total_pass": 37, "total_fail": 36}',
    'The bearer authentication is off',
    'Add an api key: --bc-api-key <api-key>',
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
    expect(maskSecrets({ tokens: ['PLANTED'], secret: { name: 'db' }, token: 'false' })).toEqual({
      tokens: ['***'],
      secret: { name: 'db' },
      token: 'false',
    });
    expect(maskSecrets([{ name: 'DB_PASSWORD', value: 'PLANTED' }])).toEqual([{ name: 'DB_PASSWORD', value: '***' }]);
    let deep: unknown = 'PLANTED';
    for (let level = 0; level < 100; level += 1) deep = { a: deep };
    expect(JSON.stringify(maskSecrets(deep))).not.toContain('PLANTED');
  });

  it('gives the same result with and without the quick test', () => {
    const words = [
      'a_pass',
      'pwd=',
      'login',
      ' -a ',
      'redis-cli',
      'Cookie: ',
      '?sig=',
      '--from-literal=a=',
      '_live_',
      'value: ',
      'secret:',
      'Token ',
      'api_key=',
      'credential ',
      'Authorization: ',
      'Bearer ',
      '://',
    ];
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
