import { describe, expect, it } from 'vitest';
import { observationName } from '../../shared/finding/name.ts';
import { eventOf, findingOf, findingsOf, type Sample, told } from './audit-requests.ts';

const admission = 'admissionregistration.k8s.io';
const argo = 'argocd/argocd-application-controller';
const keda = 'keda/keda-operator';
const kubelet = 'kubelet/v1.36';
const cut = { annotations: { 'audit.k8s.io/truncated': 'true' } };
const denied = { code: 403, decision: 'forbid' } as const;
const anonymous = { by: 'system:anonymous', groups: ['system:unauthenticated'] };
const nobody = undefined;

type Rows = [expected: string | undefined, sample: Sample][];

/** What eve is told to have done, by detection; a row without a text is nothing. */
function expectAll(rule: string, rows: Rows): void {
  describe(rule, () => {
    it.each(rows)('%s', (expected, sample) => {
      const line = told(sample);
      if (expected === undefined) expect(line?.includes(` ${rule}: `) ? line : undefined).toBeUndefined();
      else expect(line).toBe(expected.replace(' ', ` ${rule}: `));
    });
  });
}

const webhook = (name: string, config: unknown) => ({ webhooks: [{ name, clientConfig: config }] });

expectAll('admission-change', [
  ['HIGH ServiceAccount shop/x changed Lease shop/y', { by: 'shop/x', does: 'patch kyverno.io:leases shop/y' }],
  ...[
    'kyverno.io',
    'policies.kyverno.io',
    'templates.gatekeeper.sh',
    'constraints.gatekeeper.sh',
    'config.gatekeeper.sh',
    'mutations.gatekeeper.sh',
    'expansion.gatekeeper.sh',
  ].map((group): [string, Sample] => ['HIGH eve changed thing x', { by: 'eve', does: `patch ${group}:things x` }]),
  ...[
    'updaterequests',
    'admissionreports',
    'clusteradmissionreports',
    'backgroundscanreports',
    'clusterbackgroundscanreports',
    'ephemeralreports',
    'clusterephemeralreports',
    'globalcontextentries',
    'policyexceptions',
  ].map((resource): [undefined, Sample] => [nobody, { by: 'eve', does: `delete kyverno.io:${resource} shop/x` }]),
  [nobody, { by: 'eve', does: 'delete example.org:clusterpolicies x' }],
  [nobody, { by: 'eve', does: `patch ${admission}:validatingadmissionpolicies/status x` }],
  [nobody, { by: 'eve', does: `get ${admission}:validatingadmissionpolicies x` }],
  [
    'HIGH eve deleted all ValidatingWebhookConfigurations of the whole cluster',
    { by: 'eve', does: `deletecollection ${admission}:validatingwebhookconfigurations -` },
  ],
  [
    'HIGH eve changed MutatingWebhookConfiguration x',
    { by: 'eve', does: `patch ${admission}:mutatingwebhookconfigurations x`, body: webhook('a', { caBundle: 'Q0E=' }) },
  ],
  [
    nobody,
    { by: keda, does: `patch ${admission}:mutatingwebhookconfigurations x`, body: webhook('a', { caBundle: 'Q0E=' }) },
  ],
  [
    `HIGH ServiceAccount ${keda} changed MutatingWebhookConfiguration x`,
    {
      by: keda,
      does: `patch ${admission}:mutatingwebhookconfigurations x`,
      body: webhook('a', { caBundle: 'Q0E=', url: 'x' }),
    },
  ],
  [
    `HIGH ServiceAccount ${keda} changed MutatingWebhookConfiguration x`,
    { by: keda, does: `patch ${admission}:mutatingwebhookconfigurations x`, body: { webhooks: [{ name: 'a' }] } },
  ],
  [
    `HIGH ServiceAccount ${keda} changed MutatingWebhookConfiguration x`,
    { by: keda, does: `update ${admission}:mutatingwebhookconfigurations x`, body: webhook('a', { caBundle: 'Q0E=' }) },
  ],
  [
    nobody,
    {
      by: keda,
      does: `patch ${admission}:mutatingwebhookconfigurations x`,
      body: { kind: 'x', apiVersion: 'x', metadata: { labels: {} }, ...webhook('a', { caBundle: 'Q0E=' }) },
    },
  ],
  [
    nobody,
    {
      by: keda,
      does: `patch ${admission}:mutatingwebhookconfigurations x`,
      body: [{ op: 'replace', path: '/webhooks/0/clientConfig/caBundle', value: 'Q0E=' }],
    },
  ],
  [nobody, { by: 'kyverno/x', does: `delete ${admission}:validatingwebhookconfigurations kyverno` }],
  [nobody, { by: 'gatekeeper-system/x', does: 'create templates.gatekeeper.sh:constrainttemplates x' }],
  [
    'LOW argocd/argocd-application-controller changed clusterpolicy x',
    { by: argo, does: 'patch kyverno.io:clusterpolicies x' },
  ],
]);

const conversion = (value: unknown) => ({ spec: { conversion: value } });

expectAll('api-extension-change', [
  ['HIGH eve deleted APIService v1.x', { by: 'eve', does: 'delete apiregistration.k8s.io:apiservices v1.x' }],
  [nobody, { by: 'eve', does: 'patch apiregistration.k8s.io:apiservices/status v1.x' }],
  [nobody, { by: 'eve', does: 'patch example.org:apiservices v1.x' }],
  [nobody, { by: 'eve', does: 'patch apiregistration.k8s.io:things x' }],
  [nobody, { by: 'eve', does: 'get apiregistration.k8s.io:apiservices v1.x' }],
  [nobody, { by: keda, does: 'patch apiregistration.k8s.io:apiservices v1.x', body: { spec: { caBundle: 'Q0E=' } } }],
  [
    'HIGH eve changed CustomResourceDefinition x, with a conversion webhook',
    {
      by: 'eve',
      does: 'update apiextensions.k8s.io:customresourcedefinitions x',
      body: conversion({ strategy: 'Webhook' }),
    },
  ],
  [
    'HIGH eve changed CustomResourceDefinition x, with a conversion webhook',
    { by: 'eve', does: 'patch apiextensions.k8s.io:customresourcedefinitions x', body: conversion({ webhook: {} }) },
  ],
  [
    nobody,
    { by: 'eve', does: 'patch apiextensions.k8s.io:customresourcedefinitions x', body: conversion({ webhook: null }) },
  ],
  [
    'LOW argocd/argocd-application-controller created CustomResourceDefinition x, with a conversion webhook',
    {
      by: argo,
      does: 'create apiextensions.k8s.io:customresourcedefinitions x',
      body: conversion({ strategy: 'Webhook' }),
    },
  ],
]);

expectAll('api-extension-change', [
  [
    nobody,
    {
      by: keda,
      does: 'patch apiextensions.k8s.io:customresourcedefinitions x',
      body: conversion({ webhook: { clientConfig: { caBundle: 'Q0E=' } } }),
    },
  ],
  [
    nobody,
    { by: 'eve', does: 'delete apiextensions.k8s.io:customresourcedefinitions x', body: conversion({ webhook: {} }) },
  ],
]);

expectAll('watcher-change', [
  ...['falco', 'kyverno', 'gatekeeper-system', 'trivy-system', 'zen-system'].map((namespace): [string, Sample] => [
    `MEDIUM eve deleted Pod ${namespace}/x`,
    { by: 'eve', does: `delete pods ${namespace}/x` },
  ]),
  ['MEDIUM eve changed Deployment falco/x', { by: 'eve', does: 'patch apps:deployments/scale falco/x' }],
  ['MEDIUM eve changed Deployment falco/x', { by: 'eve', does: 'update apps:deployments falco/x', body: {} }],
  [nobody, { by: 'eve', does: 'create nodes falco/x' }],
  ['MEDIUM ServiceAccount shop/x changed Event shop/y', { by: 'shop/x', does: 'patch zen.kube-zen.io:events shop/y' }],
  ...['aquasecurity.github.io', 'wgpolicyk8s.io', 'openreports.io', 'reports.x-k8s.io'].map(
    (group): [string, Sample] => [
      'HIGH eve deleted report shop/x, which is evidence',
      { by: 'eve', does: `delete ${group}:reports shop/x` },
    ],
  ),
  ['HIGH eve changed report shop/x, which is evidence', { by: 'eve', does: 'update wgpolicyk8s.io:reports shop/x' }],
  [nobody, { by: 'eve', does: 'create wgpolicyk8s.io:reports shop/x' }],
  [nobody, { by: 'eve', does: 'patch wgpolicyk8s.io:reports/status shop/x' }],
  [nobody, { by: 'eve', does: 'get wgpolicyk8s.io:reports shop/x' }],
  [
    'HIGH eve deleted all observations in shop, which are evidence',
    { by: 'eve', does: 'deletecollection zen.kube-zen.io:observations shop/' },
  ],
  [nobody, { by: 'eve', does: 'delete example.org:observations shop/x' }],
  [nobody, { by: 'eve', does: 'create zen.kube-zen.io:observations shop/x' }],
  [
    'HIGH ServiceAccount trivy-system/x changed report shop/x, which is evidence',
    { by: 'trivy-system/x', does: 'patch wgpolicyk8s.io:reports shop/x', agent: 'curl/8' },
  ],
  [nobody, { by: 'trivy-system/x', does: 'patch wgpolicyk8s.io:reports shop/x' }],
  ['MEDIUM eve changed ingester shop/x', { by: 'eve', does: 'patch zen.kube-zen.io:ingesters shop/x' }],
  [nobody, { by: 'eve', does: 'patch zen.kube-zen.io:ingesters/status shop/x' }],
  [
    'MEDIUM eve created policyexception shop/x',
    { by: 'eve', does: 'create policies.kyverno.io:policyexceptions shop/x' },
  ],
  [nobody, { by: 'eve', does: 'create example.org:policyexceptions shop/x' }],
  [nobody, { by: 'eve', does: 'create example.org:ingesters shop/x' }],
  ['MEDIUM eve changed ConfigMap falco/x', { by: 'eve', does: 'patch configmaps falco/x' }],
  ['MEDIUM eve changed ConfigMap zen-system/x', { by: 'eve', does: 'patch configmaps zen-system/x' }],
  [nobody, { by: 'eve', does: 'patch configmaps shop/x' }],
  [nobody, { by: 'falco/x', does: 'patch configmaps falco/x' }],
  [
    'MEDIUM ServiceAccount falco/x changed ConfigMap falco/x',
    { by: 'falco/x', does: 'patch configmaps falco/x', agent: 'curl/8' },
  ],
  ['MEDIUM ServiceAccount shop/x changed ConfigMap falco/x', { by: 'shop/x', does: 'patch configmaps falco/x' }],
  ['MEDIUM eve evicted Pod falco/x', { by: 'eve', does: 'create pods/eviction falco/x' }],
  [nobody, { by: 'eve', does: 'patch pods/status falco/x' }],
  ['MEDIUM eve created ConfigMap falco/x', { by: 'eve', does: 'create configmaps falco/x' }],
  [nobody, { by: 'eve', does: 'create events falco/x' }],
  [nobody, { by: 'eve', does: 'update leases falco/x' }],
  ...[
    'pods',
    'apps:deployments',
    'apps:daemonsets',
    'apps:statefulsets',
    'apps:replicasets',
    'batch:jobs',
    'batch:cronjobs',
  ].map((what): [undefined, Sample] => [nobody, { by: 'eve', does: `create ${what} falco/x` }]),
  [nobody, { by: argo, does: 'delete pods falco/x' }],
  [`MEDIUM ServiceAccount ${keda} deleted Pod falco/x`, { by: keda, does: 'delete pods falco/x' }],
]);

const psa = (labels: unknown) => ({ metadata: { labels } });
const label = (mode: string) => `pod-security.kubernetes.io/${mode}`;
const weakened = (how: string) => `HIGH eve weakened Pod Security of Namespace shop: ${how}`;

expectAll(
  'pod-security-change',
  [
    ['enforce privileged', { [label('enforce')]: 'privileged' }],
    ['audit privileged', { [label('audit')]: 'privileged' }],
    [nobody, { [label('warn')]: 'privileged' }],
    ['enforce baseline', { [label('enforce')]: 'baseline' }],
    ['enforce removed', { [label('enforce')]: null }],
    ['audit removed', { [label('audit')]: null }],
    ['enforce removed', null],
    ['enforce removed', { $patch: 'replace' }],
    [nobody, { $patch: 'replace', [label('enforce')]: 'restricted' }],
    ['enforce pinned to v1.20', { [label('enforce-version')]: 'v1.20' }],
    [nobody, { [label('enforce-version')]: 'latest' }],
    [nobody, { [label('enforce-version')]: null }],
    [nobody, { [`x.${label('enforce')}`]: 'privileged' }],
    [nobody, { [`${label('enforce')}-x`]: 'privileged' }],
    ['Gatekeeper ignores it', { 'admission.gatekeeper.sh/ignore': '' }],
    [nobody, { 'admission.gatekeeper.sh/ignore': null }],
    ['audit privileged, enforce privileged', { [label('enforce')]: 'privileged', [label('audit')]: 'privileged' }],
    [nobody, 7],
  ].map(([how, labels]): [string | undefined, Sample] => [
    typeof how === 'string' ? weakened(how) : nobody,
    { by: 'eve', does: 'patch namespaces shop', body: psa(labels) },
  ]),
);

expectAll('pod-security-change', [
  [
    weakened('enforce privileged'),
    { by: 'eve', does: 'create namespaces shop', body: psa({ [label('enforce')]: 'privileged' }) },
  ],
  [nobody, { by: 'eve', does: 'update namespaces shop', body: psa({ [label('enforce')]: 'baseline' }) }],
  [nobody, { by: 'eve', does: 'update namespaces shop', body: psa({ [label('enforce-version')]: 'v1.20' }) }],
  [nobody, { by: 'eve', does: 'update namespaces shop', body: psa(null) }],
  [nobody, { by: 'eve', does: 'update namespaces shop', body: psa({ $patch: 'replace' }) }],
  [nobody, { by: 'eve', does: 'patch namespaces/status shop', body: psa({ [label('enforce')]: 'privileged' }) }],
  [nobody, { by: 'eve', does: 'delete namespaces shop', body: psa({ [label('enforce')]: 'privileged' }) }],
  [
    'MEDIUM eve changed Namespace shop, perhaps its Pod Security (the body was too long for the audit log)',
    { by: 'eve', does: 'patch namespaces shop', ...cut },
  ],
]);

expectAll('pod-security-change', [
  [nobody, { by: 'eve', does: 'patch namespaces shop', body: psa({ a: 'b' }), ...cut }],
  [
    'HIGH eve weakened Pod Security of a Namespace: enforce privileged',
    { by: 'eve', does: 'create namespaces -', body: { metadata: { labels: { [label('enforce')]: 'privileged' } } } },
  ],
  [
    'LOW argocd/argocd-application-controller weakened Pod Security of Namespace shop: enforce privileged',
    { by: argo, does: 'patch namespaces shop', body: psa({ [label('enforce')]: 'privileged' }) },
  ],
]);

expectAll('critical-config-change', [
  ['HIGH eve changed ConfigMap coredns', { by: 'eve', does: 'patch configmaps coredns' }],
  [nobody, { by: 'eve', does: 'deletecollection configmaps kube-system/' }],
  [nobody, { by: 'eve', does: 'patch secrets kube-system/coredns' }],
  ...[
    'aws-auth',
    'coredns',
    'coredns-custom',
    'node-local-dns',
    'kube-proxy',
    'kubelet-config',
    'kubelet-config-1.30',
    'kubeadm-config',
    'extension-apiserver-authentication',
  ].map((name): [string, Sample] => [
    `HIGH eve changed ConfigMap kube-system/${name}`,
    { by: 'eve', does: `patch configmaps kube-system/${name}` },
  ]),
  [
    'HIGH eve changed ConfigMap kube-public/cluster-info',
    { by: 'eve', does: 'patch configmaps kube-public/cluster-info' },
  ],
  ['HIGH eve deleted ConfigMap tools/argocd-cm', { by: 'eve', does: 'delete configmaps tools/argocd-cm' }],
  ['HIGH eve created ConfigMap tools/argocd-rbac-cm', { by: 'eve', does: 'create configmaps tools/argocd-rbac-cm' }],
  [nobody, { by: 'eve', does: 'patch configmaps shop/coredns' }],
  [nobody, { by: 'eve', does: 'patch configmaps kube-system/kubelet-configs' }],
  [nobody, { by: 'eve', does: 'patch configmaps kube-system/my-kubelet-config-1' }],
  [nobody, { by: 'eve', does: 'patch example.org:configmaps kube-system/coredns' }],
  [nobody, { by: 'eve', does: 'get configmaps kube-system/coredns' }],
  [
    'LOW argocd/argocd-application-controller changed ConfigMap argocd/argocd-cm',
    { by: argo, does: 'patch configmaps argocd/argocd-cm' },
  ],
]);

const role = (key: string) => ({ metadata: { annotations: { [key]: 'x' } } });

expectAll('deploy-source-change', [
  ...[
    'argoproj.io:applications',
    'argoproj.io:applicationsets',
    'argoproj.io:appprojects',
    'source.toolkit.fluxcd.io:x',
    'kustomize.toolkit.fluxcd.io:x',
    'helm.toolkit.fluxcd.io:x',
    'helm.cattle.io:x',
    'fleet.cattle.io:gitrepos',
    'fleet.cattle.io:bundles',
  ].map((what): [string, Sample] => [
    `MEDIUM eve deleted ${what.replace(/.*:/, '').replace(/s$/, '')} ops/a`,
    { by: 'eve', does: `delete ${what} ops/a` },
  ]),
  [nobody, { by: 'eve', does: 'delete argoproj.io:workflows ops/a' }],
  [nobody, { by: 'eve', does: 'delete fleet.cattle.io:clusters ops/a' }],
  [nobody, { by: 'eve', does: 'delete example.org:applications ops/a' }],
  [nobody, { by: 'eve', does: 'patch argoproj.io:applications/status ops/a' }],
  [nobody, { by: 'eve', does: 'get argoproj.io:applications ops/a' }],
]);

expectAll('cloud-identity-change', [
  ...['eks.amazonaws.com/role-arn', 'iam.gke.io/gcp-service-account', 'azure.workload.identity/client-id'].map(
    (key): [string, Sample] => [
      'MEDIUM eve changed ServiceAccount shop/x, which has the cloud role x',
      { by: 'eve', does: 'patch serviceaccounts shop/x', body: role(key) },
    ],
  ),
  [nobody, { by: 'eve', does: 'patch serviceaccounts shop/x', body: role('other') }],
  [nobody, { by: 'eve', does: 'patch configmaps shop/x', body: role('eks.amazonaws.com/role-arn') }],
  [nobody, { by: 'eve', does: 'patch serviceaccounts/token shop/x', body: role('eks.amazonaws.com/role-arn') }],
  [nobody, { by: 'eve', does: 'delete serviceaccounts shop/x', body: role('eks.amazonaws.com/role-arn') }],
  [nobody, { by: argo, does: 'patch serviceaccounts shop/x', body: role('eks.amazonaws.com/role-arn') }],
]);

expectAll('secret-read', [
  ['LOW eve read Secret shop/x', { by: 'eve', does: 'get secrets shop/x' }],
  ['LOW ServiceAccount shop/web read Secret shop/x', { by: 'shop/web', does: 'get secrets shop/x' }],
  ['MEDIUM ServiceAccount shop/web read Secret pay/x', { by: 'shop/web', does: 'get secrets pay/x' }],
  ['MEDIUM ServiceAccount shop/web listed Secrets in shop', { by: 'shop/web', does: 'list secrets shop/' }],
  ['MEDIUM eve read Secret kube-system/x', { by: 'eve', does: 'get secrets kube-system/x' }],
  ['MEDIUM eve listed Secrets in shop', { by: 'eve', does: 'list secrets shop/' }],
  ['MEDIUM eve watched Secrets in shop', { by: 'eve', does: 'watch secrets shop/' }],
  ['HIGH eve watched Secrets of the whole cluster', { by: 'eve', does: 'watch secrets -', stage: 'ResponseStarted' }],
  [nobody, { by: 'eve', does: 'list secrets -', stage: 'ResponseStarted' }],
  [nobody, { by: 'eve', does: 'list example.org:secrets -' }],
  [nobody, { by: 'eve', does: 'get secrets/status shop/x' }],
  [nobody, { by: keda, does: 'get secrets shop/x' }],
  [nobody, { by: argo, does: 'get secrets shop/x' }],
  [nobody, { by: 'eve', does: 'list secrets -', code: 404 }],
]);
expectAll('helm-release-read', [
  [
    "LOW eve listed Helm's releases in shop",
    { by: 'eve', does: 'list secrets shop/', query: 'labelSelector=owner=helm' },
  ],
  [
    "MEDIUM eve listed Helm's releases of the whole cluster",
    { by: 'eve', does: 'list secrets -', query: 'a=b&labelSelector=owner%3Dhelm' },
  ],
  [nobody, { by: 'eve', does: 'list secrets -', query: 'labelSelector=owner%3Dhelmet' }],
]);
expectAll('secret-access', [
  ['MEDIUM eve changed Secret shop/x', { by: 'eve', does: 'update secrets shop/x' }],
  [
    'LOW eve created Secret shop/sh.helm.release.v1.a.v1',
    { by: 'eve', does: 'create secrets shop/sh.helm.release.v1.a.v1' },
  ],
  [
    'MEDIUM eve created Secret shop/x.sh.helm.release.v1.',
    { by: 'eve', does: 'create secrets shop/x.sh.helm.release.v1.' },
  ],
  [nobody, { by: 'eve', does: 'delete secrets shop/x' }],
  [nobody, { by: 'eve', does: 'update example.org:secrets shop/x' }],
]);

const kept = [
  'persistentvolumeclaims',
  'apps:statefulsets',
  'apps:deployments',
  'apps:daemonsets',
  'secrets',
  'events',
  'events.k8s.io:events',
  'networking.k8s.io:networkpolicies',
  'crd.projectcalico.org:networkpolicies',
  'projectcalico.org:globalnetworkpolicies',
  'cilium.io:ciliumnetworkpolicies',
  'snapshot.storage.k8s.io:volumesnapshots',
];
const grave = [
  'namespaces',
  'persistentvolumes',
  'apiextensions.k8s.io:customresourcedefinitions',
  'snapshot.storage.k8s.io:volumesnapshotcontents',
  'velero.io:schedules',
  'longhorn.io:snapshots',
  'k8up.io:backups',
  'postgresql.cnpg.io:clusters',
  'config.kio.kasten.io:profiles',
];

describe('a deletion', () => {
  it.each([...kept.map((what) => ['MEDIUM', what] as const), ...grave.map((what) => ['HIGH', what] as const)])(
    'is %s of %s, unless somebody who does that all day does it',
    (severity, what) => {
      const does = `delete ${what} shop/x`;
      const finding = findingOf({ by: 'eve', does });
      expect([finding?.rule, finding?.severity]).toEqual(['resource-deletion', severity]);
      expect(findingOf({ by: 'eve', does: does.replace('x', 'y').replace(what, `x${what}`) })).toBeUndefined();
      expect(findingOf({ by: argo, does })).toBeUndefined();
      expect(findingOf({ by: keda, does })).toBeUndefined();
    },
  );
});

expectAll('resource-deletion', [
  [
    'HIGH eve deleted all leasecandidates in shop',
    { by: 'eve', does: 'deletecollection coordination.k8s.io:leasecandidates shop/' },
  ],
  ['MEDIUM eve deleted Secret shop/kube-root-ca.crt', { by: 'eve', does: 'delete secrets shop/kube-root-ca.crt' }],
  ['MEDIUM ServiceAccount shop/x deleted Event shop/y', { by: 'shop/x', does: 'delete events shop/y' }],
  [
    'LOW eve deleted Secret shop/sh.helm.release.v1.a.v1',
    { by: 'eve', does: 'delete secrets shop/sh.helm.release.v1.a.v1' },
  ],
  ['HIGH eve deleted all Pods in shop', { by: 'eve', does: 'deletecollection pods shop/' }],
  ['MEDIUM ServiceAccount shop/x deleted all Pods in shop', { by: 'shop/x', does: 'deletecollection pods shop/' }],
  [
    'HIGH eve deleted all Ingresses of the whole cluster',
    { by: 'eve', does: 'deletecollection networking.k8s.io:ingresses -' },
  ],
  [
    'HIGH eve deleted all NetworkPolicies in shop',
    { by: 'eve', does: 'deletecollection networking.k8s.io:networkpolicies shop/' },
  ],
  ['HIGH eve deleted all Endpoints in shop', { by: 'eve', does: 'deletecollection endpoints shop/' }],
  [
    'HIGH eve created deletebackuprequest velero/x',
    { by: 'eve', does: 'create velero.io:deletebackuprequests velero/x' },
  ],
  [nobody, { by: 'eve', does: 'update velero.io:deletebackuprequests velero/x' }],
  [nobody, { by: 'eve', does: 'create velero.io:backups velero/x' }],
  [nobody, { by: 'eve', does: 'create example.org:deletebackuprequests velero/x' }],
  [
    'MEDIUM eve deleted Deployment shop/sh.helm.release.v1.a',
    { by: 'eve', does: 'delete apps:deployments shop/sh.helm.release.v1.a' },
  ],
  [
    'HIGH eve deleted all volumesnapshotcontents of the whole cluster',
    { by: 'eve', does: 'deletecollection snapshot.storage.k8s.io:volumesnapshotcontents -' },
  ],
  [
    'MEDIUM ServiceAccount shop/x deleted all volumesnapshots in shop',
    { by: 'shop/x', does: 'deletecollection snapshot.storage.k8s.io:volumesnapshots shop/' },
  ],
  [
    'HIGH ServiceAccount shop/x deleted all backups in shop',
    { by: 'shop/x', does: 'deletecollection velero.io:backups shop/' },
  ],
  [nobody, { by: 'eve', does: 'delete example.org:things x' }],
  [nobody, { by: 'eve', does: 'delete pods shop/x' }],
  [nobody, { by: 'eve', does: 'delete namespaces/finalize shop' }],
  [nobody, { by: 'eve', does: 'delete apps:secrets shop/x' }],
]);

const http = (by: string, verb: string, what: string, path: string): Sample => ({
  by,
  does: `${verb} ${what}`,
  path: `/api/v1/${path}`,
});

expectAll('proxy-access', [
  ...[
    '/metrics',
    '/metrics/cadvisor',
    '/metrics/probes',
    '/metrics/resource',
    '/stats/summary',
    '/healthz',
    '/healthz/',
  ].map((path): [undefined, Sample] => [nobody, http('mon/x', 'get', 'nodes/proxy n', `nodes/n/proxy${path}`)]),
  [
    'HIGH eve reached /metrics through the proxy of Node n',
    http('eve', 'create', 'nodes/proxy n', 'nodes/n/proxy/metrics'),
  ],
  [
    'HIGH eve reached /runningpods through the proxy of Node n',
    http('eve', 'get', 'nodes/proxy n', 'nodes/n/proxy/runningpods/'),
  ],
  ['HIGH eve reached / through the proxy of Node n', http('eve', 'get', 'nodes/proxy n', 'nodes/n/proxy')],
  [
    'MEDIUM eve reached /x through the proxy of Pod shop/p',
    http('eve', 'get', 'pods/proxy shop/p', 'namespaces/shop/pods/p/proxy/x'),
  ],
  [
    'LOW eve reached /api/v1/query_range through the proxy of Service mon/p',
    http('eve', 'get', 'services/proxy mon/p', 'namespaces/mon/services/p/proxy/api/v1/query_range'),
  ],
  [
    'MEDIUM eve reached /api/v1/query through the proxy of Service mon/p',
    http('eve', 'create', 'services/proxy mon/p', 'namespaces/mon/services/p/proxy/api/v1/query'),
  ],
  [
    'MEDIUM eve reached /api/v1/query_x through the proxy of Service mon/p',
    http('eve', 'get', 'services/proxy mon/p', 'namespaces/mon/services/p/proxy/api/v1/query_x'),
  ],
  [
    'MEDIUM eve reached /x/api/v1/query through the proxy of Service mon/p',
    http('eve', 'get', 'services/proxy mon/p', 'namespaces/mon/services/p/proxy/x/api/v1/query'),
  ],
  [nobody, http('eve', 'get', 'things/proxy shop/p', 'x')],
  ['HIGH eve reached /other through the proxy of Node n', { by: 'eve', does: 'get nodes/proxy n', path: '/other' }],
  [nobody, { by: 'eve', does: 'get nodes n' }],
  [nobody, { ...http('system:kube-scheduler', 'get', 'nodes/proxy n', 'nodes/n/proxy/pods') }],
  ...[
    ['shop/web', 'HIGH node n was asked by system:serviceaccount:shop:web for what nodes/proxy gives'],
    ['kube-apiserver', nobody],
    [keda, nobody],
    [argo, nobody],
    ['vault/vault', nobody],
  ].map(([user, expected]): [string | undefined, Sample] => [
    expected,
    {
      by: 'system:node:n',
      agent: kubelet,
      does: 'create authorization.k8s.io:subjectaccessreviews -',
      body: {
        spec: {
          user: user?.replace(/^(.+)\/(.+)$/, 'system:serviceaccount:$1:$2'),
          resourceAttributes: { resource: 'nodes', subresource: 'proxy' },
        },
      },
    },
  ]),
  [
    nobody,
    {
      by: 'system:node:n',
      agent: kubelet,
      does: 'create authorization.k8s.io:subjectaccessreviews -',
      body: { spec: { user: 'eve', resourceAttributes: { resource: 'nodes' } } },
    },
  ],
  [
    nobody,
    {
      by: 'system:node:n',
      agent: kubelet,
      does: 'create authorization.k8s.io:subjectaccessreviews -',
      body: { spec: { groups: ['dev'], resourceAttributes: { resource: 'nodes', subresource: 'proxy' } } },
    },
  ],
  [
    nobody,
    {
      by: 'eve',
      does: 'create authorization.k8s.io:subjectaccessreviews -',
      body: { spec: { user: 'eve', resourceAttributes: { resource: 'nodes', subresource: 'proxy' } } },
    },
  ],
]);

expectAll('anonymous-access', [
  [
    'HIGH system:anonymous read Pod kube-public/cluster-info without signing in',
    { ...anonymous, does: 'get pods kube-public/cluster-info' },
  ],
  ...[
    '/healthz',
    '/healthz/ping',
    '/livez',
    '/readyz',
    '/version',
    '/version/',
    '/api',
    '/apis',
    '/apis/apps',
    '/apis/apps/v1',
    '/api/v1',
    '/openapi',
    '/openapi/v3',
    '/swagger.json',
    '/.well-known/openid-configuration',
    '/openid/v1/jwks',
    '/metrics/slis',
    '/',
  ].map((path): [undefined, Sample] => [nobody, { ...anonymous, does: `GET ${path}` }]),
  ...['/metrics', '/x/healthz', '/healthzx', '/apis/apps/v1/x', '/apis//v1', '/versions', '/logs'].map(
    (path): [string, Sample] => [
      `HIGH system:anonymous reached ${path} without signing in`,
      { ...anonymous, does: `GET ${path}` },
    ],
  ),
  [
    'HIGH system:anonymous listed ConfigMaps in kube-public without signing in',
    { ...anonymous, does: 'list configmaps kube-public/' },
  ],
  [
    'HIGH system:anonymous watched ConfigMap kube-public/cluster-info without signing in',
    { ...anonymous, does: 'watch configmaps kube-public/cluster-info' },
  ],
  [
    'HIGH system:anonymous read ConfigMap kube-public/x without signing in',
    { ...anonymous, does: 'get configmaps kube-public/x' },
  ],
  [
    'HIGH system:anonymous read ConfigMap shop/cluster-info without signing in',
    { ...anonymous, does: 'get configmaps shop/cluster-info' },
  ],
  [
    'HIGH bob listed Pods in shop without signing in',
    { by: 'bob', groups: ['system:unauthenticated'], does: 'list pods shop/' },
  ],
  ['HIGH system:anonymous listed Pods in shop without signing in', { by: 'system:anonymous', does: 'list pods shop/' }],
  [nobody, { ...anonymous, does: 'list pods shop/', ...denied }],
]);

expectAll('exposed-service', [
  [
    'LOW eve created Service shop/x of type LoadBalancer',
    { by: 'eve', does: 'create services shop/x', body: { spec: { type: 'LoadBalancer' } } },
  ],
  [
    'LOW eve changed Service shop/x of type NodePort',
    { by: 'eve', does: 'patch services shop/x', body: { spec: { type: 'NodePort' } } },
  ],
  [nobody, { by: 'eve', does: 'patch services shop/x', body: { spec: { type: 'ExternalName' } } }],
  [
    'HIGH eve changed Service shop/x with externalIPs a, b, c and 1 more',
    { by: 'eve', does: 'update services shop/x', body: { spec: { externalIPs: ['a', 'b', 'c', 'd'] } } },
  ],
  [
    'HIGH eve wrote the status of Service shop/x, which steers its traffic',
    { by: 'eve', does: 'update services/status shop/x' },
  ],
  [nobody, { by: keda, does: 'update services/status shop/x' }],
  [nobody, { by: 'eve', does: 'get services/status shop/x' }],
  [nobody, { by: 'eve', does: 'delete services shop/x', ...cut }],
  [nobody, { by: 'eve', does: 'update services/scale shop/x', body: { spec: { type: 'NodePort' } } }],
  [nobody, { by: 'eve', does: 'delete services shop/x', body: { spec: { type: 'NodePort' } } }],
  [nobody, { by: 'eve', does: 'create example.org:services shop/x', body: { spec: { type: 'NodePort' } } }],
  [
    'MEDIUM eve created Service shop/x, which may be exposed (its body was too long for the audit log)',
    { by: 'eve', does: 'create services shop/x', ...cut },
  ],
  [nobody, { by: 'eve', does: 'create services shop/x', body: { spec: { type: 'ClusterIP' } }, ...cut }],
  [nobody, { by: 'eve', does: 'create services shop/x' }],
  [
    'LOW eve created Ingress shop/x without TLS',
    { by: 'eve', does: 'create networking.k8s.io:ingresses shop/x', body: { spec: { tls: [] } } },
  ],
  [
    'LOW eve changed Ingress shop/x without TLS',
    { by: 'eve', does: 'update networking.k8s.io:ingresses shop/x', body: { spec: {} } },
  ],
  [nobody, { by: 'eve', does: 'create networking.k8s.io:ingresses shop/x', body: { spec: { tls: [{}] } } }],
  [nobody, { by: 'eve', does: 'patch networking.k8s.io:ingresses shop/x', body: { spec: {} } }],
  [nobody, { by: 'eve', does: 'create networking.k8s.io:ingresses shop/x', body: {} }],
  [nobody, { by: 'eve', does: 'update networking.k8s.io:ingresses/status shop/x', body: { spec: {} } }],
]);

expectAll('endpoint-change', [
  ['MEDIUM eve created EndpointSlice shop/x', { by: 'eve', does: 'create discovery.k8s.io:endpointslices shop/x' }],
  ['MEDIUM eve deleted Endpoints shop/x', { by: 'eve', does: 'delete endpoints shop/x' }],
  [nobody, { by: 'eve', does: 'get endpoints shop/x' }],
  [nobody, { by: keda, does: 'update endpoints shop/x' }],
  [nobody, { by: argo, does: 'update endpoints shop/x' }],
]);

expectAll('node-change', [
  ['HIGH eve created Node n', { by: 'eve', does: 'create nodes n' }],
  ['MEDIUM eve deleted Node n', { by: 'eve', does: 'delete nodes n' }],
  ['MEDIUM eve wrote the status of Node n', { by: 'eve', does: 'patch nodes/status n' }],
  ['LOW eve changed Node n (labels, taints or cordon)', { by: 'eve', does: 'update nodes n' }],
  [nobody, { by: 'eve', does: 'create nodes/proxy n' }],
  [nobody, { by: 'eve', does: 'get nodes n' }],
  [nobody, { by: 'eve', does: 'update example.org:nodes n' }],
  [nobody, { by: keda, does: 'create nodes n' }],
]);

expectAll('access-probe', [
  ['LOW eve was not allowed to create Pod shop/x', { by: 'eve', does: 'create pods shop/x', ...denied }],
  ['LOW eve was not allowed to change Pod shop/x', { by: 'eve', does: 'update pods shop/x', ...denied }],
  ['LOW eve was not allowed to change Pod shop/x', { by: 'eve', does: 'patch pods shop/x', ...denied }],
  ['LOW eve was not allowed to delete Pod shop/x', { by: 'eve', does: 'delete pods shop/x', ...denied }],
  ['LOW eve was not allowed to delete all Pods in shop', { by: 'eve', does: 'deletecollection pods shop/', ...denied }],
  ['LOW eve was not allowed to read Pod shop/x', { by: 'eve', does: 'get pods shop/x', ...denied }],
  ['LOW eve was not allowed to list Pods of the whole cluster', { by: 'eve', does: 'list pods -', ...denied }],
  ['LOW eve was not allowed to watch Pods in shop', { by: 'eve', does: 'watch pods shop/', ...denied }],
  ['LOW eve was not allowed to use Pod shop/x', { by: 'eve', does: 'toString pods shop/x', ...denied }],
  ['LOW eve was not allowed to attach to Pod shop/x', { by: 'eve', does: 'get pods/attach shop/x', ...denied }],
  ['LOW eve was not allowed to run a command in Pod shop/x', { by: 'eve', does: 'get pods/exec shop/x', ...denied }],
  [
    'LOW eve was not allowed to forward a port to Pod shop/x',
    { by: 'eve', does: 'get pods/portforward shop/x', ...denied },
  ],
  ['LOW eve was not allowed to reach the proxy of Node n', { by: 'eve', does: 'get nodes/proxy n', ...denied }],
  [
    'LOW eve was not allowed to scale Deployment shop/x',
    { by: 'eve', does: 'patch apps:deployments/scale shop/x', ...denied },
  ],
  [
    'LOW eve was not allowed to make a token for ServiceAccount shop/x',
    { by: 'eve', does: 'create serviceaccounts/token shop/x', ...denied },
  ],
  ['LOW eve was not allowed to use log of Pod shop/x', { by: 'eve', does: 'get pods/log shop/x', ...denied }],
  ['LOW eve was not allowed to use valueOf of Pod shop/x', { by: 'eve', does: 'get pods/valueOf shop/x', ...denied }],
  ['LOW eve was not allowed to reach /logs', { by: 'eve', does: 'GET /logs', ...denied }],
  ['LOW eve was not allowed to list Pods in shop', { by: 'eve', does: 'list pods shop/', code: 401 }],
  [
    'LOW ServiceAccount shop/x was not allowed to list Pods in shop',
    { by: 'shop/x', does: 'list pods shop/', ...denied },
  ],
  [
    'MEDIUM ServiceAccount shop/x was not allowed to read Secret shop/x',
    { by: 'shop/x', does: 'get secrets shop/x', ...denied },
  ],
  [
    'MEDIUM ServiceAccount shop/x was not allowed to run a command in Pod shop/x',
    { by: 'shop/x', does: 'create pods/exec shop/x', ...denied },
  ],
  [
    'MEDIUM ServiceAccount shop/x was not allowed to create ClusterRoleBinding x',
    { by: 'shop/x', does: 'create rbac.authorization.k8s.io:clusterrolebindings x', ...denied },
  ],
  ['LOW eve was not allowed to read Secret shop/x', { by: 'eve', does: 'get secrets shop/x', ...denied }],
  [nobody, { by: 'system:kube-scheduler', does: 'get secrets shop/x', ...denied }],
]);

const masters = { by: 'root', groups: ['system:masters'] };

expectAll('masters-access', [
  ['MEDIUM root created Event shop/x with the rights of system:masters', { ...masters, does: 'create events shop/x' }],
  [
    'MEDIUM root created ConfigMap shop/x with the rights of system:masters',
    { ...masters, does: 'create configmaps shop/x' },
  ],
  ['MEDIUM root deleted Pod shop/x with the rights of system:masters', { ...masters, does: 'delete pods shop/x' }],
  [nobody, { ...masters, does: 'get configmaps shop/x' }],
  [nobody, { ...masters, does: 'create authorization.k8s.io:subjectaccessreviews -' }],
  [nobody, { ...masters, does: 'create configmaps shop/x', ...denied }],
  [nobody, { ...masters, does: 'create configmaps shop/x', code: 403, decision: 'allow' }],
  [nobody, { ...masters, does: 'delete secrets shop/x' }],
  [nobody, { ...masters, by: 'shop/x', does: 'create configmaps shop/x' }],
  [nobody, { by: 'root', does: 'create configmaps shop/x' }],
]);

expectAll('pod-exec', [
  ['MEDIUM eve ran an unlogged command in Pod shop/x', { by: 'eve', does: 'get pods/exec shop/x' }],
  [
    'MEDIUM eve ran in Pod shop/x (container db): sh',
    { by: 'eve', does: 'create pods/exec shop/x', query: 'container=db&command=sh' },
  ],
  [
    'MEDIUM eve attached to Pod shop/x (container db)',
    { by: 'eve', does: 'get pods/attach shop/x', query: 'container=db' },
  ],
  ['LOW eve forwarded a port to Pod kube-system/x', { by: 'eve', does: 'get pods/portforward kube-system/x' }],
  ...['console', 'vnc', 'usbredir'].map((name): [string, Sample] => [
    'MEDIUM eve opened the console of virtualmachineinstance shop/v',
    { by: 'eve', does: `get subresources.kubevirt.io:virtualmachineinstances/${name} shop/v` },
  ]),
  [
    'LOW eve forwarded a port to virtualmachineinstance shop/v',
    { by: 'eve', does: 'get subresources.kubevirt.io:virtualmachineinstances/portforward shop/v' },
  ],
  [nobody, { by: 'eve', does: 'get kubevirt.io:virtualmachineinstances/console shop/v' }],
  [nobody, { by: 'eve', does: 'get subresources.kubevirt.io:virtualmachineinstances/pause shop/v' }],
  [nobody, { by: 'eve', does: 'update pods/exec shop/x' }],
  [nobody, { by: 'eve', does: 'get things/exec shop/x' }],
  ['LOW ServiceAccount shop/x attached to Pod shop/x', { by: 'shop/x', does: 'get pods/attach shop/x' }],
  ['HIGH ServiceAccount shop/x attached to Pod zen-system/x', { by: 'shop/x', does: 'get pods/attach zen-system/x' }],
  ['HIGH eve attached to Pod kube-public/x', { by: 'eve', does: 'get pods/attach kube-public/x' }],
  ['MEDIUM eve attached to Pod shop/x', { by: 'eve', does: 'get pods/attach shop/x', stage: 'ResponseStarted' }],
]);

expectAll('pod-exec-suspicious', [
  [nobody, { by: 'eve', does: 'update pods/exec shop/x', query: 'command=nsenter' }],
  [nobody, { by: 'eve', does: 'get things/exec shop/x', query: 'command=nsenter' }],
  [
    'HIGH eve ran in Pod shop/x (container db) a command that leaves the container: nsenter',
    { by: 'eve', does: 'get pods/exec shop/x', query: 'command=nsenter&container=db' },
  ],
]);

describe('what a log says of no verb, user or path', () => {
  const exec = eventOf({ by: 'eve', does: 'get pods/exec shop/x' });
  const reach = eventOf({ by: 'eve', does: 'GET /logs', ...denied });

  it('is told all the same', () => {
    expect(findingsOf({ ...exec, verb: undefined })).toMatchObject([{ rule: 'pod-exec' }]);
    const token = eventOf({ by: 'eve', does: 'create serviceaccounts/token shop/x' });
    expect(findingsOf({ ...token, user: undefined })).toMatchObject([{ rule: 'token-request' }]);
    expect(findingsOf({ ...reach, verb: 'create', requestURI: undefined })).toMatchObject([
      { summary: 'eve was not allowed to reach the API server' },
    ]);
    const cidrs = { AUDIT_CLUSTER_CIDRS: '10.0.0.0/8' };
    expect(findingsOf({ ...exec, user: undefined }, cidrs)).toMatchObject([{ rule: 'pod-exec' }]);
    const read = eventOf({ by: 'system:kube-scheduler', does: 'get pods shop/x' });
    expect(findingsOf(read, cidrs)).toMatchObject([{ rule: 'system-principal-outside', severity: 'HIGH' }]);
    expect(findingsOf({ ...read, responseStatus: { code: 401 } }, cidrs)).toMatchObject([
      { rule: 'system-principal-outside', severity: 'MEDIUM' },
    ]);
    expect(findingsOf({ ...read, sourceIPs: [] }, cidrs)).toEqual([]);
  });

  it('is one finding of all who are nobody', () => {
    const names = [{ username: 'system:anonymous' }, {}, undefined].flatMap((user) =>
      findingsOf({ ...reach, user }).map((finding) => observationName('audit', finding)),
    );
    expect([names.length, new Set(names).size]).toEqual([3, 1]);
  });
});
