import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import * as z from 'zod';
import type { Manifest } from '../../knative/generator/manifests.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { hasKubectl } from '../cluster/cluster.ts';
import { temporaryFolder } from '../host/program.ts';
import { isQuick } from '../quick.ts';
import { createNetwork } from './network.ts';

const knative = join(import.meta.dirname, '..', '..', 'knative');
const { BROKER_NAME: usualName } = parseSettings({}, z.object({}), []);

const serviceSchema = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  spec: z.object({
    template: z.object({
      metadata: z.object({ labels: z.record(z.string(), z.string()) }),
      spec: z.object({
        serviceAccountName: z.string(),
        containers: z.tuple([
          z.looseObject({
            image: z.string(),
            args: z.tuple([z.string()]),
            env: z.array(z.object({ name: z.string(), value: z.string() })),
            volumeMounts: z.array(z.object({ name: z.string() })).default([]),
          }),
        ]),
        volumes: z.array(z.object({ name: z.string(), projected: z.unknown().optional() })).default([]),
      }),
    }),
  }),
});

const tokenSchema = z.object({
  sources: z.tuple([z.object({ serviceAccountToken: z.object({ audience: z.string() }) })]),
});

const roleSchema = z.object({
  rules: z.array(
    z.object({
      apiGroups: z.array(z.string()),
      resources: z.array(z.string()),
      resourceNames: z.array(z.string()).optional(),
      verbs: z.array(z.string()),
    }),
  ),
});

const bindingSchema = z.object({
  roleRef: z.object({ kind: z.string(), name: z.string() }),
  subjects: z.array(z.object({ name: z.string(), namespace: z.string() })),
});

const triggerSchema = z.object({ spec: z.object({ broker: z.string() }) });

type Service = z.infer<typeof serviceSchema>;

/** An overlay with components, as ANNOUNCING.md and the overlays themselves say to write one. */
interface Overlay {
  readonly name: string;
  /** One with `namespace` is copied, as it says. Of another, one's own overlay begins with it. */
  readonly isCopied?: boolean;
  readonly components: readonly string[];
  /** Another namespace than the usual one. */
  readonly namespace?: string;
}

interface Kustomization {
  readonly resources: readonly string[];
  readonly components?: readonly string[];
}

function kustomizationOf({ name, isCopied = false, components, namespace }: Overlay, folder: string): object {
  const overlay = join(knative, 'overlays', name);
  const from = (path: string): string => relative(folder, path);
  const copied = isCopied
    ? moved(readFileSync(join(overlay, 'kustomization.yaml'), 'utf8'), folder)
    : { resources: [from(overlay)] };
  const added = [...components, ...(namespace === undefined ? [] : ['namespace'])];
  const local = { disableNameSuffixHash: true, annotations: { 'config.kubernetes.io/local-config': 'true' } };
  return {
    ...{ apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' },
    ...copied,
    components: [
      ...(copied.components ?? []),
      ...added.map((component) => from(join(knative, 'components', component))),
    ],
    ...(namespace !== undefined && {
      configMapGenerator: [{ name: 'zen-watcher-namespace', literals: [`namespace=${namespace}`], options: local }],
    }),
  };
}

/** The text of a kustomization beside the overlays, for another folder. */
function moved(text: string, folder: string): Kustomization {
  const { resources, components, ...rest }: Kustomization = parse(text);
  const from = (path: string): string => relative(folder, join(knative, 'overlays', 'any', path));
  return { ...rest, resources: resources.map(from), ...(components && { components: components.map(from) }) };
}

function build(kustomizationIn: (folder: string) => object): Manifest[] {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomizationIn(folder)));
  const text = execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8', maxBuffer: 67_108_864 });
  return parseAllDocuments(text).map((document) => document.toJS());
}

/** Whether RBAC lets a ServiceAccount list and watch a Broker. */
function mayAsk(manifests: readonly Manifest[], account: string, namespace: string, broker: string): boolean {
  const isHere = ({ metadata }: Manifest): boolean => metadata.namespace === namespace;
  const bound = manifests
    .filter((one) => one.kind === 'RoleBinding' && isHere(one))
    .map((one) => bindingSchema.parse(one))
    .filter(({ subjects }) => subjects.some((one) => one.name === account && one.namespace === namespace))
    .map(({ roleRef }) => roleRef.name);
  return manifests
    .filter((one) => one.kind === 'Role' && isHere(one) && bound.includes(one.metadata.name))
    .flatMap((one) => roleSchema.parse(one).rules)
    .some(
      ({ apiGroups, resources, resourceNames, verbs }) =>
        apiGroups.includes('eventing.knative.dev') &&
        resources.includes('brokers') &&
        resourceNames?.includes(broker) &&
        ['list', 'watch'].every((verb) => verbs.includes(verb)),
    );
}

function variable({ spec }: Service, wanted: string): string | undefined {
  return spec.template.spec.containers[0].env.findLast(({ name }) => name === wanted)?.value;
}

/** Whether it posts to the Broker: events of webhooks, announcements, or hints that something is due. */
function posts(service: Service): boolean {
  const [name] = service.spec.template.spec.containers[0].args;
  return ['webhook', 'announce'].includes(name) || variable(service, 'ANNOUNCE') === 'true';
}

function servicesIn(manifests: readonly Manifest[]): Service[] {
  const services = manifests.filter(({ kind, apiVersion }) => kind === 'Service' && apiVersion.startsWith('serving.'));
  return services.map((one) => serviceSchema.parse(one));
}

function imageOf({ spec }: Service): string {
  return spec.template.spec.containers[0].image;
}

/** What is wrong with a Service that posts, if anything is. */
function faultsOf(service: Service, broker: Manifest, manifests: readonly Manifest[]): string[] {
  const { name, namespace } = broker.metadata;
  const { template } = service.spec;
  const volume = template.spec.volumes.find((one) => one.name === 'broker-token');
  const isMounted = template.spec.containers[0].volumeMounts.some((one) => one.name === 'broker-token');
  const audience = volume && tokenSchema.parse(volume.projected).sources[0].serviceAccountToken.audience;
  const { labels } = template.metadata;
  const ingress = { namespace: 'knative-eventing', labels: {} };
  const checks = {
    'is in another namespace':
      service.metadata.namespace === namespace && variable(service, 'SYSTEM_NAMESPACE') === namespace,
    [`posts to ${variable(service, 'BROKER_NAME')}`]: (variable(service, 'BROKER_NAME') ?? usualName) === name,
    [`has a token for ${audience}`]: isMounted && audience === `eventing.knative.dev/broker/${namespace}/${name}`,
    'may not ask where the Broker is': mayAsk(manifests, template.spec.serviceAccountName, namespace ?? '', name),
    'is kept from the Broker by the network': createNetwork(manifests).letsOut(
      { namespace: service.metadata.namespace, labels },
      ingress,
      8080,
    ),
  };
  return Object.entries(checks).flatMap(([fault, isRight]) => (isRight ? [] : [`${service.metadata.name} ${fault}`]));
}

const sinks = ['alertmanager', 'falcosidekick', 'sender'];

const choices: readonly { readonly components: readonly string[] }[] = [
  { components: [] },
  { components: ['announce'] },
  { components: [...sinks, 'announce'] },
  { components: ['announce', ...sinks] },
  ...[...sinks, 'page', 'monitoring'].map((one) => ({ components: [one] })),
];

const overlays: readonly Overlay[] = [
  ...['default', 'production', 'constrained', 'kafka'].flatMap((name) =>
    choices.flatMap(({ components }) => [
      { name, components },
      { name, components, namespace: 'elsewhere' },
    ]),
  ),
  ...choices.map(({ components }) => ({ name: 'kafka', components: [...components, 'kafka'] })),
  ...choices.map(({ components }) => ({ name: 'kafka', components, isCopied: true })),
  { name: 'default', components: [...sinks, 'announce', 'kafka'], namespace: 'elsewhere' },
  ...choices.map(({ components }) => ({
    ...{ name: 'namespaced', isCopied: true },
    components: components.map((one) => (one === 'monitoring' ? one : `${one}-namespaced`)),
  })),
];

/** Each takes a second: the quick suite has those with everything alone. */
const chosen = isQuick ? overlays.filter(({ components }) => components.length > 3) : overlays;

function titleOf({ name, components, isCopied, namespace }: Overlay): string {
  const parts = [isCopied ? `a copy of ${name}` : name, ...components, namespace];
  return parts.filter(Boolean).join(', ');
}

describe.skipIf(!hasKubectl())('an overlay with components', { timeout: 120_000 }, () => {
  it.each(chosen.map((overlay) => [titleOf(overlay), overlay] as const))(
    'has everybody who posts to the Broker name the one that is there, and one image: %s',
    (_title, overlay) => {
      const manifests = build((folder) => kustomizationOf(overlay, folder));
      const [broker, ...others] = manifests.filter(({ kind }) => kind === 'Broker');
      expect(others).toEqual([]);
      if (!broker) throw new Error('there is no Broker');
      const triggers = manifests.filter(({ kind }) => kind === 'Trigger');
      expect(triggers.length).toBeGreaterThan(2);
      for (const trigger of triggers) {
        expect(triggerSchema.parse(trigger).spec.broker, trigger.metadata.name).toBe(broker.metadata.name);
        expect(trigger.metadata.namespace).toBe(broker.metadata.namespace);
      }
      const services = servicesIn(manifests);
      const senders = services.filter(posts);
      expect(senders.length).toBe(overlay.components.some((one) => one.startsWith('announce')) ? 13 : 1);
      expect(senders.flatMap((one) => faultsOf(one, broker, manifests))).toEqual([]);
      // Who posts nothing is given no token.
      const silent = services.filter((one) => !posts(one)).flatMap(({ spec }) => spec.template.spec.volumes);
      expect(silent.map(({ name }) => name)).not.toContain('broker-token');
      expect(new Set(services.map(imageOf)).size).toBe(1);
      expect(services.map(imageOf)[0]).toMatch(/^zen-watcher:\d/);
    },
  );

  it('has been tried with every component that adds a function or changes one', () => {
    const tried = new Set(overlays.flatMap(({ components }) => components));
    const all = readdirSync(join(knative, 'components')).filter((name) => !name.endsWith('-standalone'));
    // Those of tools are in every overlay; the last is `monitoring` with a label.
    const known = [...tried, 'namespace', 'checkov', 'kube-bench', 'kube-prometheus-stack'];
    expect(all.filter((name) => !known.includes(name))).toEqual([]);
  });

  it.each([
    ['ANNOUNCING.md', 'alertmanager', ['ALERTMANAGER_URL']],
    [
      'examples/archive/kustomization.yaml',
      'sender',
      ['SINK_URL', 'SINK_FORMAT', 'SINK_TOKEN_FILE', 'ANNOUNCE_MIN_SEVERITY'],
    ],
  ])('as in %s sets what %s needs, and takes nothing away', (file, sink, names) => {
    const text = readFileSync(join(knative, file), 'utf8');
    // A page has it as a block of its own.
    const [, block = text] = file.endsWith('.md')
      ? (/\n\n((?: {4}.*\n|\n)*? {4}resources:(?:.*\n)(?: {4}.*\n)*)/.exec(text) ?? [])
      : [];
    const manifests = build((folder) => moved(block, folder));
    const [service] = servicesIn(manifests).filter(({ metadata }) => metadata.name === sink);
    const [plain] = servicesIn(
      build((folder) => kustomizationOf({ name: 'default', components: [sink, 'announce'] }, folder)),
    ).filter(({ metadata }) => metadata.name === sink);
    if (!service || !plain) throw new Error('there is no such Service');
    for (const name of names) expect(variable(service, name), name).toBeDefined();
    const [container] = service.spec.template.spec.containers;
    const [before] = plain.spec.template.spec.containers;
    expect({ ...container, env: [] }).toEqual({ ...before, env: [] });
    expect(container.env).toEqual(expect.arrayContaining(before.env));
    expect(service.spec.template.spec.volumes).toEqual(plain.spec.template.spec.volumes);
  });
});
