import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import * as z from 'zod';
import { hasKubectl } from '../cluster/cluster.ts';
import { documents, root } from '../facts/markdown.ts';
import { temporaryFolder } from '../host/program.ts';

const patchesSchema = z.object({
  resources: z.array(z.string()).default([]),
  components: z.array(z.string()).default([]),
  patches: z.array(z.object({ target: z.record(z.string(), z.string()), patch: z.string() })),
});

/** What the documents show of an overlay's patches: indented blocks, in a list one step deeper. */
const shown = documents
  .filter((file) => file.startsWith('knative/'))
  .flatMap((file) => {
    const blocks = readFileSync(join(root, file), 'utf8').match(/(?<=\n\n)( {4,}).*\n(?:(?:\1.*)?\n)*/g) ?? [];
    return blocks
      .filter((block) => /^ *patches:$/m.test(block))
      .map((block): readonly [file: string, overlay: z.infer<typeof patchesSchema>] => [
        file,
        patchesSchema.parse(parse(block)),
      ]);
  });

const containersSchema = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({
        containers: z.array(
          z.object({ args: z.array(z.string()), env: z.array(z.object({ name: z.string(), value: z.string() })) }),
        ),
      }),
    }),
  }),
});

type Environment = z.infer<typeof containersSchema>['spec']['template']['spec']['containers'][number]['env'];

/** The environment of each function, or of the process that hosts all, in an overlay with these patches. */
function environmentsOf(base: string, overlay: z.infer<typeof patchesSchema>): Map<string, Environment> {
  const folder = join(temporaryFolder(), 'overlay');
  mkdirSync(folder);
  const pathTo = (path: string): string => relative(folder, join(root, 'knative', path));
  writeFileSync(
    join(folder, 'kustomization.yaml'),
    stringify({
      ...{ apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', patches: overlay.patches },
      resources: [pathTo(`overlays/${base}`)],
      components: [
        ...(overlay.patches.some(({ target }) => target.group === 'monitoring.coreos.com')
          ? [pathTo('components/kube-prometheus-stack')]
          : []),
        ...overlay.components.map((path) => pathTo(path.replace('../../', ''))),
      ],
    }),
  );
  const built = parseAllDocuments(execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8' }));
  return new Map(
    built.flatMap((one) => {
      const { data } = containersSchema.safeParse(one.toJS());
      return (data?.spec.template.spec.containers ?? []).map(({ args, env }) => [args[0] ?? '', env] as const);
    }),
  );
}

function repeatedIn(environments: ReadonlyMap<string, Environment>): string[] {
  return [...environments].flatMap(([name, env]) =>
    env
      .filter((one, index) => env.findIndex(({ name }) => name === one.name) < index)
      .map((one) => `${name}: ${one.name}`),
  );
}

describe.skipIf(!hasKubectl())('the patches that the documents show', () => {
  it('are found', () => {
    expect(shown.length).toBeGreaterThan(4);
  });

  it.each(shown)('fit what they are for, and set no variable twice (%s)', (_file, overlay) => {
    const bases = overlay.resources.includes('../standalone') ? ['standalone'] : ['default', 'production'];
    for (const base of bases) {
      const environments = environmentsOf(base, overlay);
      expect(repeatedIn(environments), base).toEqual([]);
      for (const [name, env] of environments)
        expect(
          env.map((one) => one.name),
          name,
        ).toContain('SYSTEM_NAMESPACE');
    }
  });

  it.each([
    ['AUDIT_DEPLOYERS', ['audit', 'webhook'], /^\+.*:deployer$/],
    ['FALCO_MINIMUM_PRIORITY', ['falco', 'webhook'], /^Warning$/],
    ['WEBHOOK_TRUSTED_PROXIES', ['webhook'], /^127\.0\.0\.1\/32,::1\/128,10/],
  ])('set %s on %j', (variable, functions, value) => {
    const overlay = shown
      .map(([, one]) => one)
      .find(({ patches }) => patches.some(({ patch }) => patch.includes(variable)));
    const environments = overlay ? environmentsOf('default', overlay) : new Map<string, Environment>();
    const set = [...environments].flatMap(([name, env]) =>
      env.filter((one) => one.name === variable).map((one) => ({ name, value: one.value })),
    );
    expect(set.map(({ name }) => name).sort()).toEqual(functions);
    for (const one of set) expect(one.value).toMatch(value);
  });
});
