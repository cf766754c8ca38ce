import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type Manifest, manifestsOf, sharedManifests } from '../../knative/generator/manifests.ts';
import { networkPolicies, standalonePolicies } from '../../knative/generator/network-policies.ts';
import { ownManifests, standalonePage } from '../../knative/generator/standalone.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';

const definitions = await loadFunctions();
const text = readFileSync(join(import.meta.dirname, '..', '..', 'knative', 'STANDALONE.md'), 'utf8');
const [, kinds = '', names = ''] =
  /kubectl delete -A (\S+) \\\n\s+-l 'app\.kubernetes\.io\/name in \(([^)]+)\)'/.exec(text) ?? [];

const labelsSchema = z.record(z.string(), z.string()).default({});

/** Whether the command of STANDALONE.md deletes it. */
function isDeleted({ apiVersion, kind, metadata }: Manifest): boolean {
  const word = kind === 'PodDisruptionBudget' ? 'pdb' : kind.toLowerCase();
  const name = labelsSchema.parse(metadata.labels)['app.kubernetes.io/name'] ?? '';
  return !apiVersion.includes('knative.dev') && kinds.split(',').includes(word) && names.split(', ').includes(name);
}

const idOf = ({ kind, metadata: { name, namespace = '' } }: Manifest): string => `${kind} ${namespace}/${name}`;

describe('what STANDALONE.md deletes after moving to Knative', () => {
  it('is all that standalone has of its own, but for the namespaces of tools', () => {
    const shared = new Set(networkPolicies(definitions).map(idOf));
    const own = [
      ...ownManifests(definitions, 'cluster'),
      ...definitions.flatMap((one) => standalonePage(one, 'cluster')),
    ];
    const left = own.filter((manifest) => !isDeleted(manifest) && !shared.has(idOf(manifest)));
    expect(left.map(idOf)).toEqual(['Namespace /checkov', 'Namespace /kube-bench']);
    expect(own.filter(isDeleted).map(idOf)).toContain(
      `NetworkPolicy zen-system/${standalonePolicies()[0]?.metadata.name}`,
    );
  });

  it('is nothing that Knative has', () => {
    const onKnative = [
      ...[...sharedManifests(definitions), ...networkPolicies(definitions)],
      ...definitions.flatMap((one) => manifestsOf(one)),
    ];
    expect(onKnative.filter(isDeleted).map(idOf)).toEqual([]);
  });
});

describe('what README.md deletes by label to keep the Observations', () => {
  const readme = readFileSync(join(import.meta.dirname, '..', '..', 'knative', 'README.md'), 'utf8');
  const commands = [
    ...readme.matchAll(/kubectl delete -A -l app\.kubernetes\.io\/part-of=zen-watcher(?: \\\n)? +(\S+)$/gm),
  ];
  const [onKnative = [], anywhere = []] = commands.map(([, names = '']) => names.split(','));
  const words: Readonly<Record<string, string>> = { PodDisruptionBudget: 'pdb', ServiceAccount: 'sa' };

  it.each([
    [
      'of Knative',
      () => [
        ...sharedManifests(definitions),
        ...networkPolicies(definitions),
        ...definitions.flatMap((one) => manifestsOf(one)),
      ],
    ],
    ['of standalone', () => ownManifests(definitions, 'cluster')],
  ])('is every kind %s but namespaces', (_which, manifests) => {
    const left = manifests().filter(({ apiVersion, kind }) => {
      const names = apiVersion.includes('knative.dev') ? onKnative : anywhere;
      const word = kind === 'Service' && names === onKnative ? 'ksvc' : (words[kind] ?? kind.toLowerCase());
      return !names.includes(word);
    });
    expect([...new Set(left.map(({ kind }) => kind))]).toEqual(['Namespace']);
  });
});
