import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type Manifest, manifestsOf, type Reach } from '../../knative/generator/manifests.ts';
import { hostedIn, standaloneManifests } from '../../knative/generator/standalone.ts';
import type { FunctionDefinition } from '../../shared/function/definitions.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { differences, expectNone } from '../facts/faults.ts';

const definitions = await loadFunctions();

const texts = z.array(z.string());
const roleSchema = z.object({
  aggregationRule: z.unknown().optional(),
  rules: z
    .array(z.object({ apiGroups: texts, resources: texts, resourceNames: texts.optional(), verbs: texts }))
    .default([]),
});
const bindingSchema = z.object({
  roleRef: z.object({ kind: z.string(), name: z.string() }),
  subjects: z.array(z.object({ name: z.string() })),
});

const isBinding = ({ kind }: Manifest): boolean => kind === 'RoleBinding' || kind === 'ClusterRoleBinding';
const isRole = ({ kind }: Manifest): boolean => kind === 'Role' || kind === 'ClusterRole';

/** Each right by itself: where, about what, and to do what. */
function rightsIn(role: Manifest): string[] {
  const { rules, aggregationRule } = roleSchema.parse(role);
  const place = role.metadata.namespace ?? 'the cluster';
  return [
    ...(aggregationRule === undefined ? [] : [`${JSON.stringify(aggregationRule)} in ${place}`]),
    ...rules.flatMap(({ apiGroups, resources, resourceNames = ['any'], verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) =>
          resourceNames.flatMap((name) => verbs.map((verb) => `${verb} ${resource}.${group} (${name}) in ${place}`)),
        ),
      ),
    ),
  ];
}

/** What the accounts among these manifests may do, all together. */
function rightsOf(manifests: readonly Manifest[]): Set<string> {
  const roles = manifests.filter(isRole);
  return new Set(
    manifests.filter(isBinding).flatMap((binding) => {
      const { roleRef } = bindingSchema.parse(binding);
      const role = roles.find(
        ({ kind, metadata: { name, namespace } }) =>
          kind === roleRef.kind && name === roleRef.name && namespace === binding.metadata.namespace,
      );
      return role ? rightsIn(role) : [];
    }),
  );
}

/** What a function declares, but for what is about Knative's objects. */
function withoutKnative(definition: FunctionDefinition): FunctionDefinition {
  return { ...definition, permissions: definition.permissions.filter(({ isForKnative }) => !isForKnative) };
}

/** What the functions, and Knative's adapters that watch for them, may do on Knative, but with objects of Knative. */
function rightsOnKnative(reach: Reach): string[] {
  const hosted = hostedIn(definitions).map(withoutKnative);
  const rights = rightsOf(hosted.flatMap((one) => manifestsOf(one, reach)));
  return [...rights].filter((right) => !right.includes('.knative.dev '));
}

function faultsOf(rights: Iterable<string>, reach: Reach): string[] {
  return differences(rights, rightsOnKnative(reach), {
    onlyHere: (right) => `standalone may ${right}, which no function that it hosts may on Knative`,
    onlyThere: (right) => `standalone may not ${right}, which a function that it hosts may on Knative`,
  });
}

describe.each<Reach>(['cluster', 'namespace'])('the roles of standalone, for a whole %s', (reach) => {
  const manifests = standaloneManifests(definitions, reach);

  it('are those of the functions that it hosts, all together, and nothing else', () => {
    expect(rightsOnKnative(reach).length).toBeGreaterThan(50);
    expectNone(faultsOf(rightsOf(manifests), reach));
  });

  it('are given to its one account', () => {
    const subjects = manifests.filter(isBinding).flatMap((binding) => bindingSchema.parse(binding).subjects);
    expect(new Set(subjects.map(({ name }) => name))).toEqual(new Set(['zen-watcher']));
  });

  const rules = manifests
    .filter(isRole)
    .flatMap((role) => roleSchema.parse(role).rules.map((rule, index) => ({ role, rule, index })))
    .map((one) => ({
      ...one,
      of: `${one.rule.verbs.join()} ${one.rule.resources.join()} of ${one.role.metadata.name}`,
    }))
    .filter(({ role }) => manifests.filter(isBinding).some(({ metadata }) => metadata.name === role.metadata.name));

  it.each(rules)('are too few without the rule: $of', ({ role, index }) => {
    const less = { ...role, rules: roleSchema.parse(role).rules.filter((_, other) => other !== index) };
    const rights = rightsOf(manifests.map((one) => (one === role ? less : one)));
    expect(faultsOf(rights, reach)).not.toEqual([]);
  });

  it('are too many with one more', () => {
    const more = [...rightsOf(manifests), 'get secrets. (any) in the cluster'];
    expect(faultsOf(more, reach)).toEqual([
      'standalone may get secrets. (any) in the cluster, which no function that it hosts may on Knative',
    ]);
  });
});
