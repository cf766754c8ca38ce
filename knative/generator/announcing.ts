import { knativeBrokers } from '../../shared/api/knative-kinds.ts';
import { type FunctionDefinition, marksNews } from '../../shared/function/definitions.ts';
import { brokerToken, commonSettings, type Manifest, metadataOf, postsLabel, systemNamespace } from './manifests.ts';
import { brokerEgress, named } from './network-policies.ts';

/** The function that tells others. */
export function announcerIn(definitions: readonly FunctionDefinition[]): FunctionDefinition {
  const announcer = definitions.find((one) => one.kind === 'task' && one.announces);
  if (!announcer) throw new Error('no function announces');
  return announcer;
}

export const announcing = { name: 'ANNOUNCE', value: 'true' };

/** What a function that writes mounts where others are told: the token with which it posts a hint to the Broker. */
export function hintToken(definition: FunctionDefinition) {
  return brokerToken(definition, { ...commonSettings, ANNOUNCE: true });
}

/** What those that write need besides, so that they may say that something is to be told. */
export function writersManifests(definitions: readonly FunctionDefinition[]): Manifest[] {
  const writers = definitions.filter(marksNews);
  const metadata = metadataOf('zen-watcher-hints');
  const rbac = 'rbac.authorization.k8s.io';
  const subjects = writers.map(({ name }) => ({ kind: 'ServiceAccount', name, namespace: systemNamespace }));
  return [
    {
      ...{ apiVersion: `${rbac}/v1`, kind: 'Role', metadata },
      rules: [
        {
          apiGroups: [knativeBrokers.group],
          resources: [knativeBrokers.plural],
          resourceNames: [commonSettings.BROKER_NAME],
          verbs: ['list', 'watch'],
        },
      ],
    },
    {
      ...{ apiVersion: `${rbac}/v1`, kind: 'RoleBinding', metadata },
      roleRef: { apiGroup: rbac, kind: 'Role', name: metadata.name },
      subjects,
    },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata,
      spec: {
        podSelector: named([announcerIn(definitions), ...writers]),
        policyTypes: ['Egress'],
        egress: brokerEgress,
      },
    },
  ];
}

/** What an overlay adds to the Services of those that write. It comes after what adds functions, since it changes these. */
export function writersPatch(definitions: readonly FunctionDefinition[]) {
  const writers = definitions.filter(marksNews);
  const [first] = writers;
  const { volumeMounts, volumes } = first ? hintToken(first) : { volumeMounts: [], volumes: [] };
  const container = '/spec/template/spec/containers/0';
  const operations = [
    ...Object.entries(postsLabel).map(([name, value]) => ({
      ...{ op: 'add', path: `/metadata/labels/${name.replace('/', '~1')}`, value },
    })),
    { op: 'add', path: `${container}/env/-`, value: announcing },
    { op: 'add', path: `${container}/volumeMounts`, value: volumeMounts },
    { op: 'add', path: '/spec/template/spec/volumes', value: volumes },
  ];
  return {
    target: { group: 'serving.knative.dev', kind: 'Service', name: writers.map(({ name }) => name).join('|') },
    patch: JSON.stringify(operations),
  };
}
