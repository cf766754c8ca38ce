import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { observationsOf, startProgram, temporaryFolder } from './program.ts';
import { skipWithout } from './skip-without.ts';

const without = skipWithout('curl', 'a token in the URL of a webhook, as Falco sends it,');

// Falco's http_output posts with libcurl.
describe.skipIf(without)('the webhook of a sender without headers', () => {
  it('takes the token from its URL, and shows it nowhere', async () => {
    const token = 'to/k:en%+planted';
    const program = await startProgram({
      args: ['--port', '0', '--data', temporaryFolder()],
      environment: { WEBHOOK_AUTH_TOKEN: token, LOG_LEVEL: 'DEBUG' },
    });
    const post = (user: string, path: string): string => {
      const url = `${program.url.replace('//', `//${user}@`)}${path}`;
      const alert = '{"rule":"Mine","priority":"Error"}';
      return spawnSync('curl', ['-sS', '-o', '/dev/null', '-w', '%{http_code}', '-d', alert, url]).stdout.toString();
    };
    const user = `falco:${encodeURIComponent(token)}`;
    expect(post(user, '/falco/webhook')).toBe('204');
    expect(post('falco:another', '/falco/webhook')).toBe('401');
    expect(post(user, '/audit/webhook')).toBe('401');
    expect(await observationsOf(program.url)).toHaveLength(1);
    await program.stop();
    const encoded = Buffer.from(`falco:${token}`).toString('base64');
    for (const secret of [token, encodeURIComponent(token), encoded])
      expect(program.log.join('\n')).not.toContain(secret);
  });
});
