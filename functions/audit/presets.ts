/**
 * Users whose ordinary work is no news. Each preset exempts from rows of its own and from no other; a `*` may only be at
 * the end of a name, or at its beginning. Every account is named with its namespace: who may make a namespace must not be able to join.
 */

const account = (namespace: string, ...names: readonly string[]): string[] =>
  names.map((name) => `system:serviceaccount:${namespace}:${name}`);

/** kube-controller-manager's own, which run with --use-service-account-credentials: kubernetes cmd/kube-controller-manager/names. */
const controllers = [
  'attachdetach-controller',
  'bootstrap-signer',
  'certificate-controller',
  'clusterrole-aggregation-controller',
  'cronjob-controller',
  'daemon-set-controller',
  'deployment-controller',
  'device-taint-eviction-controller',
  'disruption-controller',
  'endpoint-controller',
  'endpointslice-controller',
  'endpointslicemirroring-controller',
  'ephemeral-volume-controller',
  'expand-controller',
  'generic-garbage-collector',
  'horizontal-pod-autoscaler',
  'job-controller',
  'legacy-service-account-token-cleaner',
  'namespace-controller',
  'node-controller',
  'persistent-volume-binder',
  'pod-garbage-collector',
  'pv-protection-controller',
  'pvc-protection-controller',
  'replicaset-controller',
  'replication-controller',
  'resource-claim-controller',
  'resourcequota-controller',
  'root-ca-cert-publisher',
  'route-controller',
  'selinux-warning-controller',
  'service-account-controller',
  'service-ca-cert-publisher',
  'service-cidrs-controller',
  'service-controller',
  'statefulset-controller',
  'storage-version-garbage-collector',
  'storage-version-migrator-controller',
  'taint-eviction-controller',
  'token-cleaner',
  'tokens-controller',
  'ttl-after-finished-controller',
  'ttl-controller',
  'validatingadmissionpolicy-status-controller',
  'volumeattributesclass-protection-controller',
  'cloud-node-controller',
  'cloud-node-lifecycle-controller',
  'cloud-controller-manager',
] as const;

/** Those that make Pods of templates, and what makes Pods. The template was the news. */
export const templateControllers: readonly string[] = [
  'system:kube-controller-manager',
  ...account(
    'kube-system',
    'cronjob-controller',
    'daemon-set-controller',
    'deployment-controller',
    'job-controller',
    'replicaset-controller',
    'replication-controller',
    'statefulset-controller',
  ),
];

/** The control plane of a cluster that its owner runs. */
export const controlPlane: readonly string[] = [
  'system:node:*',
  'system:kube-controller-manager',
  'system:kube-scheduler',
  'system:kube-proxy',
  'system:apiserver',
  'system:cloud-controller-manager',
  // The API server's client certificate for kubelets: kubeadm, its older versions, k3s.
  'kube-apiserver-kubelet-client',
  'system:kube-apiserver',
  'kube-apiserver',
  ...account('kube-system', ...controllers),
];

/** What the control planes of others call themselves. */
const managed: readonly string[] = [
  // EKS: https://docs.aws.amazon.com/eks/latest/userguide/default-roles-users.html
  'eks:*',
  // AKS: what its control plane calls itself in kube-audit.
  'aksService',
  'hcpService',
  'aks-support',
  'aksProblemDetector',
  // GKE: the users that its own bindings name (`kubectl get clusterrolebindings -o wide`), and its audit log's principals.
  'system:addon-manager',
  'system:cluster-autoscaler',
  'system:clustermetrics',
  'system:controller:glbc',
  'system:gcp-controller-manager',
  'system:gke-common-webhooks',
  'system:gke-controller-manager',
  'system:gke-hpa-service-account',
  'system:gke-hpa-service-account-reader',
  'system:gke-master-healthcheck',
  'system:gke-spiffe-controller',
  'system:gke-uas-adapter',
  'system:gke-volume-populator-controller',
  'system:glbc',
  'system:konnectivity-server',
  'system:kubestore-collector',
  'system:l4-lb-controller',
  'system:l7-lb-controller',
  'system:l7-lb-controller-neg',
  'system:maintenance-controller',
  'system:managed-certificate-controller',
  'system:master-prom-to-sd-monitor',
  'system:metrics-server-nanny',
  'system:node-problem-detector',
  'system:pd-csi-controller',
  'system:pdcsi-controller',
  'system:resource-tracker',
  'system:snapshot-controller',
  'system:storageversionmigrator',
  'system:vpa-recommender',
  'cluster-autoscaler',
  // Google's own robot of a project, of which only the number differs: falcosecurity/plugins, k8saudit-gke's rules.
  '*@container-engine-robot.iam.gserviceaccount.com',
  // OpenShift: the accounts of its own controllers.
  'system:openshift-master',
  'system:openshift-node-admin',
  ...account('openshift-infra', '*'),
  ...account('openshift-kube-apiserver', '*'),
  ...account('openshift-kube-apiserver-operator', '*'),
  ...account('openshift-kube-controller-manager', '*'),
  ...account('openshift-kube-controller-manager-operator', '*'),
  ...account('openshift-controller-manager', '*'),
  ...account('openshift-controller-manager-operator', '*'),
  ...account('openshift-apiserver', '*'),
  ...account('openshift-apiserver-operator', '*'),
  ...account('openshift-authentication-operator', '*'),
  ...account('openshift-cluster-version', '*'),
  ...account('openshift-cluster-machine-approver', '*'),
  ...account('openshift-machine-config-operator', '*'),
  ...account('openshift-network-operator', '*'),
  ...account('openshift-service-ca', '*'),
  ...account('openshift-service-ca-operator', '*'),
  ...account('openshift-operator-lifecycle-manager', '*'),
  // k3s and RKE2: https://docs.k3s.io/architecture
  'system:k3s-controller',
  'system:k3s-supervisor',
  'k3s-cloud-controller-manager',
  'system:rke2-controller',
  'system:rke2-supervisor',
  'rke2-cloud-controller-manager',
];

const operators: readonly string[] = [
  ...account('kube-system', '*'),
  // What clusters are made of besides kube-system: their charts' own accounts.
  ...account('calico-system', '*'),
  ...account('tigera-operator', 'tigera-operator'),
  ...account('kube-flannel', 'flannel'),
  ...account('cilium', '*'),
  ...account('local-path-storage', 'local-path-provisioner-service-account'),
  ...account('metallb-system', 'controller', 'speaker', 'metallb-controller', 'metallb-speaker'),
  ...account('cluster-autoscaler', '*'),
  ...account('karpenter', 'karpenter'),
  ...account('keda', 'keda-operator', 'keda-metrics-server', 'keda-admission-webhooks', 'keda-webhook'),
  // Cluster API: https://cluster-api.sigs.k8s.io
  ...account('capi-system', 'capi-manager'),
  ...account('capi-kubeadm-bootstrap-system', 'capi-kubeadm-bootstrap-manager'),
  ...account('capi-kubeadm-control-plane-system', 'capi-kubeadm-control-plane-manager'),
  ...account('capa-system', 'capa-controller-manager'),
  ...account('capz-system', 'capz-manager'),
  ...account('capg-system', 'capg-manager'),
  // kube-prometheus and the kube-prometheus-stack chart
  ...account('monitoring', 'prometheus-operator', 'kube-state-metrics', 'prometheus-adapter', 'node-exporter'),
  ...account('monitoring', 'kube-prometheus-stack-operator', 'kube-prometheus-stack-kube-state-metrics'),
  ...account('monitoring', 'prometheus-kube-prometheus-operator', 'prometheus-kube-state-metrics'),
  ...account('istio-system', 'istiod', 'istiod-service-account', 'istio-cni', 'ztunnel'),
  ...account('linkerd', '*'),
  ...account('velero', 'velero', 'velero-server'),
  ...account('rook-ceph', 'rook-ceph-system', 'rook-ceph-operator', 'rook-ceph-mgr'),
  ...account('longhorn-system', 'longhorn-service-account'),
  ...account('gpu-operator', 'gpu-operator', 'node-feature-discovery'),
  ...account('node-feature-discovery', '*'),
  ...account('knative-serving', '*'),
  ...account('knative-eventing', '*'),
  ...account('knative-operator', 'knative-operator', 'operator-webhook'),
  ...account('kourier-system', '*'),
  ...account('olm', 'olm-operator-serviceaccount'),
  ...account('cert-manager', 'cert-manager', 'cert-manager-cainjector', 'cert-manager-webhook'),
  // GKE's and AKS's add-ons outside kube-system
  ...account('gke-managed-system', '*'),
  ...account('gmp-system', 'operator', 'collector'),
  ...account('calico-apiserver', '*'),
];

const deployers: readonly string[] = [
  ...account(
    'argocd',
    'argocd-application-controller',
    'argocd-applicationset-controller',
    'argocd-server',
    'argocd-repo-server',
    'argocd-notifications-controller',
    'argocd-dex-server',
  ),
  ...account('openshift-gitops', 'openshift-gitops-argocd-application-controller', 'openshift-gitops-argocd-server'),
  ...account('argo-rollouts', 'argo-rollouts'),
  // Flux: https://fluxcd.io/flux/components/
  ...account(
    'flux-system',
    'kustomize-controller',
    'helm-controller',
    'source-controller',
    'notification-controller',
    'image-automation-controller',
    'image-reflector-controller',
    'flux-operator',
  ),
  // k3s deploys its packaged charts with Jobs of these accounts.
  ...account('kube-system', 'helm-traefik', 'helm-traefik-crd'),
  // Rancher's Fleet
  ...account('cattle-fleet-system', 'fleet-agent', 'fleet-controller', 'gitjob'),
  ...account('cattle-fleet-local-system', 'fleet-agent'),
];

const secretReaders: readonly string[] = [
  ...account('cert-manager', 'cert-manager', 'cert-manager-cainjector', 'cert-manager-webhook'),
  ...account('external-secrets', 'external-secrets', 'external-secrets-webhook', 'external-secrets-cert-controller'),
  ...account('secrets-store-csi-driver', 'secrets-store-csi-driver'),
  ...account('sealed-secrets', 'sealed-secrets', 'sealed-secrets-controller'),
  ...account('vault', 'vault', 'vault-agent-injector'),
  ...account('vault-secrets-operator-system', 'vault-secrets-operator-controller-manager'),
  ...account('reflector', 'reflector'),
  // Ingress controllers and gateways
  ...account('ingress-nginx', 'ingress-nginx', 'ingress-nginx-admission'),
  ...account('nginx-ingress', '*'),
  ...account('traefik', 'traefik', 'traefik-ingress-controller'),
  ...account('projectcontour', 'contour', 'contour-certgen', 'envoy'),
  ...account('kong', 'kong-controller', 'kong-kong'),
  ...account('haproxy-controller', '*'),
  ...account('emissary', '*'),
  ...account('envoy-gateway-system', 'envoy-gateway'),
  ...account('istio-system', 'istiod', 'istiod-service-account', 'istio-ingressgateway-service-account'),
  ...account('istio-ingress', '*'),
  // Engines and scanners
  ...account(
    'kyverno',
    'kyverno-admission-controller',
    'kyverno-background-controller',
    'kyverno-cleanup-controller',
    'kyverno-reports-controller',
    'kyverno-service-account',
    'kyverno',
  ),
  ...account('gatekeeper-system', 'gatekeeper-admin'),
  ...account('trivy-system', 'trivy-operator'),
  ...account('kubescape', '*'),
  ...account('falco', 'falco', 'falcosidekick', 'falco-falcosidekick'),
  ...account('knative-serving', '*'),
  ...account('knative-eventing', '*'),
  ...account('kourier-system', '*'),
  // Sidecars that load dashboards and rules of ConfigMaps and Secrets
  ...account('monitoring', 'grafana', 'kube-prometheus-stack-grafana', 'prometheus-grafana'),
  ...account('monitoring', 'kube-prometheus-stack-operator', 'prometheus-operator', 'alloy'),
  ...account('cnpg-system', 'cnpg-manager', 'cnpg-cloudnative-pg'),
  ...account('crossplane-system', 'crossplane'),
];

/** Those that act for people by impersonation: the people are the actors. */
const impersonators: readonly string[] = [
  // Teleport: https://goteleport.com/docs/enroll-resources/kubernetes-access/
  ...account('teleport', 'teleport', 'teleport-kube-agent', 'teleport-agent', 'teleport-proxy', 'teleport-auth'),
  ...account('teleport-agent', 'teleport-agent', 'teleport-kube-agent'),
  ...account('teleport-cluster', 'teleport-cluster', 'teleport-cluster-proxy'),
  // Rancher: https://ranchermanager.docs.rancher.com
  ...account('cattle-system', 'rancher', 'cattle', 'kontainer-engine'),
  ...account('cattle-impersonation-system', '*'),
  // Pinniped: https://pinniped.dev
  ...account('pinniped-concierge', 'pinniped-concierge', 'pinniped-concierge-impersonation-proxy'),
  ...account('concierge', 'concierge-impersonation-proxy'),
  // GKE Connect: https://cloud.google.com/anthos/multicluster-management/gateway
  ...account('gke-connect', 'connect-agent-sa'),
  // Flux reconciles with the account that a Kustomization or HelmRelease names.
  ...account('flux-system', 'kustomize-controller', 'helm-controller'),
];

export const presets = { system: [...controlPlane, ...managed], operators, deployers, secretReaders, impersonators };

export type Preset = Exclude<keyof typeof presets, 'impersonators'>;

/** Where Knative runs, which does in our namespace what our functions need. */
export const knativeNamespaces: readonly string[] = ['knative-serving', 'knative-eventing', 'kourier-system'];
