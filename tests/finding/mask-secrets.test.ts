import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskSecrets, maskText } from '../../shared/finding/mask-secrets.ts';
import { prefixed, formats as tokenFormats } from '../../shared/finding/secret-patterns.ts';
import { formats, forms, harmless, hooks } from './secret-forms.ts';

describe('maskText and maskSecrets', () => {
  const planted = ['hunter2S3cr3t', 'Tr0ub4dor-x_9', 'correcthorse7'];

  it.each(Object.entries(forms).flatMap(([kind, list]) => list.map((form) => ({ kind, form }))))(
    'mask what stands $kind: $form',
    ({ form }) => {
      for (const secret of planted) {
        const text = form.replaceAll(/[‹›]/g, '').replace('§', secret);
        expect(maskText(text)).toBe(form.replace(/‹[^›]*›|§/, '***'));
      }
    },
  );

  it.each(formats)('mask what has the format of %s, wherever it stands', (_rule, secret) => {
    for (const [before, after] of [
      ['found ', ' in the image'],
      ['x="', '"'],
      ['(', ')'],
    ]) {
      expect(maskText(`${before}${secret}${after}`)).toBe(`${before}***${after}`);
    }
  });

  it.each(hooks)('mask the secret part of %s', (start, secret) => {
    expect(maskText(`see ${start}${secret}`)).toBe(`see ${start}***`);
  });

  it.each(Object.entries(harmless).flatMap(([kind, list]) => list.map((text) => ({ kind, text }))))(
    'leave $kind unchanged: $text',
    ({ text }) => {
      expect(maskText(text)).toBe(text);
    },
  );

  it('are tried with at least 200 forms that go and 100 that stay, each once', () => {
    const going = [...Object.values(forms).flat(), ...formats.map(([, secret]) => secret)];
    const staying = Object.values(harmless).flat();
    expect(new Set(going).size).toBe(going.length);
    expect(new Set(staying).size).toBe(staying.length);
    expect(going.length).toBeGreaterThanOrEqual(200);
    expect(staying.length).toBeGreaterThanOrEqual(100);
  });

  it.each([
    ['several in one text', 'password=PLANTED token=PLANTED', 'password=*** token=***'],
    [
      'one that an escaped line end closes',
      String.raw`"password=PLANTED\nuser=eve"`,
      String.raw`"password=***\nuser=eve"`,
    ],
    [
      'what an object shows that is a Secret, whatever it is called',
      '{"apiVersion":"v1","data":{"a":"UExBTlRFRA==","b":"eA=="},"kind":"Secret"}',
      '{"apiVersion":"v1","data":{"a":"***","b":"***"},"kind":"Secret"}',
    ],
    [
      'the same in YAML',
      'kind: Secret\nmetadata:\n  name: database\ndata:\n  a: UExBTlRFRA==',
      'kind: Secret\nmetadata:\n  name: database\ndata:\n  a: ***',
    ],
    ['the brackets around it excepted', '{User:eve Password:PLANTED}', '{User:eve Password:***}'],
  ])('mask %s', (_what, text, masked) => {
    expect(maskText(text)).toBe(masked);
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
    expect(maskSecrets({ password: 12345678, total_pass: 37, secretString: 'PLANTED', usePassword: true })).toEqual({
      password: '***',
      total_pass: 37,
      secretString: '***',
      usePassword: true,
    });
    expect(maskSecrets({ tokens: ['PLANTED'], secret: { name: 'db' }, token: 'false' })).toEqual({
      tokens: ['***'],
      secret: { name: 'db' },
      token: 'false',
    });
    expect(maskSecrets([{ name: 'DB_PASSWORD', value: 'PLANTED' }])).toEqual([{ name: 'DB_PASSWORD', value: '***' }]);
    expect(maskSecrets({ password: { value: 'PLANTED', hint: 'of the shop' } })).toEqual({
      password: { value: '***', hint: 'of the shop' },
    });
    expect(maskSecrets({ image: { value: 'nginx' } })).toEqual({ image: { value: 'nginx' } });
    expect(maskSecrets({ password: { myvalue: 'eve', values: 'eve', value: 'PLANTED' } })).toEqual({
      password: { myvalue: 'eve', values: 'eve', value: '***' },
    });
    expect(maskSecrets([{ name: 3, value: 'eve' }])).toEqual([{ name: 3, value: 'eve' }]);
  });

  it.each([
    ['objects', (value: unknown): unknown => ({ a: value })],
    ['lists', (value: unknown): unknown => [value]],
  ])('mask what is in more than 32 %s, one within the other', (_what, wrap) => {
    const nested = (value: unknown, levels: number): unknown =>
      levels === 0 ? value : nested(wrap(value), levels - 1);
    expect(maskSecrets(nested(5, 33))).toEqual(nested(5, 33));
    expect(maskSecrets(nested(wrap(5), 33))).toEqual(nested('***', 33));
    expect(JSON.stringify(maskSecrets(nested('PLANTED', 100)))).not.toContain('PLANTED');
  });

  it('masks what follows an option that names a secret, in a list of arguments', () => {
    expect(maskSecrets(['run', '--password', 'PLANTED', '--user', 'eve', '-v', '--token', '--debug'])).toEqual([
      'run',
      '--password',
      '***',
      '--user',
      'eve',
      '-v',
      '--token',
      '--debug',
    ]);
    expect(maskSecrets(['-password', 'PLANTED-', '--password', 5, 'password', 'eve'])).toEqual([
      ...['-password', '***', '--password', 5, 'password', 'eve'],
    ]);
    const others = ['see --password', 'eve', '--a/password', 'eve', 5, 'eve'];
    expect(maskSecrets(others)).toEqual(others);
  });

  it('look for a pattern wherever it may match', () => {
    const texts = [
      ...Object.values(forms).flatMap((list) =>
        list.map((form) => form.replaceAll(/[‹›]/g, '').replace('§', 'a1'.repeat(9))),
      ),
      ...formats.map(([, secret]) => secret),
      ...hooks.map((parts) => parts.join('')),
    ];
    for (const [needle, pattern] of [...prefixed, ...tokenFormats]) {
      expect(needle).toBe(needle.toLowerCase());
      for (const text of texts) {
        if (text.search(pattern) >= 0) expect(text.toLowerCase()).toContain(needle);
      }
    }
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
