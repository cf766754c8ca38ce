import { knativeBrokers, knativeTriggers } from '../../shared/api/knative-kinds.ts';
import type { FunctionDefinition } from '../../shared/function/definitions.ts';
import { writersManifests } from './announcing.ts';
import {
  brokerAudiencePath,
  commonSettings,
  type Manifest,
  manifestsOf,
  ownLabels,
  postsLabel,
  type Reach,
  selectorText,
} from './manifests.ts';

const { group } = knativeBrokers;

/** https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/replacements/ */
interface Target {
  readonly select: Readonly<Record<string, string>>;
  readonly fieldPaths: readonly string[];
  readonly options?: object;
}

/** The Roles that let somebody ask for the Broker's address, by the rule that names it. */
function roleTargets(manifests: readonly Manifest[]): Target[] {
  return manifests.flatMap(({ kind, metadata: { name }, rules }) => {
    const index = Array.isArray(rules)
      ? rules.findIndex(({ resources, resourceNames }) => resourceNames && resources.includes(knativeBrokers.plural))
      : -1;
    if (index < 0) return [];
    const select = { group: 'rbac.authorization.k8s.io', kind, name };
    return [{ select, fieldPaths: [`rules.${index}.resourceNames.0`] }];
  });
}

const source = { group, kind: knativeBrokers.kind, fieldPath: 'metadata.name' };

const triggerTarget: Target = {
  select: { group, kind: knativeTriggers.kind, labelSelector: selectorText(ownLabels) },
  fieldPaths: ['spec.broker'],
};

/** Has each of our Triggers name the Broker that is there, whatever an overlay has called it. */
export const triggersReplacement = { source, targets: [triggerTarget] };

/** The same for whoever posts to the Broker, too. What isn't there is left out. */
export function brokerReplacement(definitions: readonly FunctionDefinition[], reach: Reach): object {
  const manifests = [...definitions.flatMap((one) => manifestsOf(one, reach)), ...writersManifests(definitions)];
  const select = { group: 'serving.knative.dev', kind: 'Service', labelSelector: selectorText(postsLabel) };
  const targets: Target[] = [
    {
      select,
      fieldPaths: ['spec.template.spec.containers.0.env.[name=BROKER_NAME].value'],
      options: { create: true },
    },
    { select, fieldPaths: [brokerAudiencePath], options: { delimiter: '/', index: 3 } },
    ...roleTargets(manifests),
    triggerTarget,
  ];
  return { source, targets };
}

/** Gives a function that a component adds the image that all others have, whatever an overlay has made of its name and tag. */
export function imageReplacement({ name }: FunctionDefinition, definitions: readonly FunctionDefinition[]): object {
  const services = { group: 'serving.knative.dev', kind: 'Service' };
  const fieldPath = 'spec.template.spec.containers.0.image';
  const always = definitions.find(({ kind }) => kind === 'dead-letter-sink');
  return {
    source: { ...services, name: always?.name, fieldPath },
    targets: [{ select: { ...services, name }, fieldPaths: [fieldPath] }],
  };
}

/** A component: the Broker of class Kafka. The class of a Broker can't be changed, nor the Broker of a Trigger. */
export function kafkaComponent(definitions: readonly FunctionDefinition[]): object {
  const suffix = 'kafka';
  const renamed = (kind: string, name: string, more: readonly object[] = []) => ({
    target: { group, kind, name },
    options: { allowNameChange: true },
    patch: JSON.stringify([{ op: 'replace', path: '/metadata/name', value: `${name}-${suffix}` }, ...more]),
  });
  const config = { apiVersion: 'v1', kind: 'ConfigMap', name: 'kafka-broker-config', namespace: 'knative-eventing' };
  const triggers = definitions.flatMap((one) => manifestsOf(one)).filter(({ kind }) => kind === 'Trigger');
  return {
    apiVersion: 'kustomize.config.k8s.io/v1alpha1',
    kind: 'Component',
    patches: [
      renamed(knativeBrokers.kind, commonSettings.BROKER_NAME, [
        { op: 'add', path: '/metadata/annotations', value: { [`${group}/broker.class`]: 'Kafka' } },
        { op: 'add', path: '/spec/config', value: config },
      ]),
      ...triggers.map(({ metadata }) => renamed(knativeTriggers.kind, metadata.name)),
    ],
    replacements: [brokerReplacement(definitions, 'cluster')],
  };
}
