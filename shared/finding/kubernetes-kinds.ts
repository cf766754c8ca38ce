/** Kubernetes' built-in kinds, by plural: https://kubernetes.io/docs/reference/kubernetes-api/ */
const namespacedKinds: Readonly<Record<string, string>> = {
  bindings: 'Binding',
  configmaps: 'ConfigMap',
  controllerrevisions: 'ControllerRevision',
  cronjobs: 'CronJob',
  csistoragecapacities: 'CSIStorageCapacity',
  daemonsets: 'DaemonSet',
  deployments: 'Deployment',
  endpoints: 'Endpoints',
  endpointslices: 'EndpointSlice',
  events: 'Event',
  horizontalpodautoscalers: 'HorizontalPodAutoscaler',
  ingresses: 'Ingress',
  jobs: 'Job',
  leases: 'Lease',
  limitranges: 'LimitRange',
  localsubjectaccessreviews: 'LocalSubjectAccessReview',
  networkpolicies: 'NetworkPolicy',
  persistentvolumeclaims: 'PersistentVolumeClaim',
  poddisruptionbudgets: 'PodDisruptionBudget',
  pods: 'Pod',
  podtemplates: 'PodTemplate',
  replicasets: 'ReplicaSet',
  replicationcontrollers: 'ReplicationController',
  resourceclaims: 'ResourceClaim',
  resourceclaimtemplates: 'ResourceClaimTemplate',
  resourcequotas: 'ResourceQuota',
  rolebindings: 'RoleBinding',
  roles: 'Role',
  secrets: 'Secret',
  serviceaccounts: 'ServiceAccount',
  services: 'Service',
  statefulsets: 'StatefulSet',
};

const clusterKinds: Readonly<Record<string, string>> = {
  apiservices: 'APIService',
  certificatesigningrequests: 'CertificateSigningRequest',
  clusterrolebindings: 'ClusterRoleBinding',
  clusterroles: 'ClusterRole',
  clustertrustbundles: 'ClusterTrustBundle',
  componentstatuses: 'ComponentStatus',
  csidrivers: 'CSIDriver',
  csinodes: 'CSINode',
  customresourcedefinitions: 'CustomResourceDefinition',
  deviceclasses: 'DeviceClass',
  flowschemas: 'FlowSchema',
  ingressclasses: 'IngressClass',
  ipaddresses: 'IPAddress',
  mutatingadmissionpolicies: 'MutatingAdmissionPolicy',
  mutatingadmissionpolicybindings: 'MutatingAdmissionPolicyBinding',
  mutatingwebhookconfigurations: 'MutatingWebhookConfiguration',
  namespaces: 'Namespace',
  nodes: 'Node',
  persistentvolumes: 'PersistentVolume',
  podsecuritypolicies: 'PodSecurityPolicy',
  priorityclasses: 'PriorityClass',
  prioritylevelconfigurations: 'PriorityLevelConfiguration',
  resourceslices: 'ResourceSlice',
  runtimeclasses: 'RuntimeClass',
  selfsubjectaccessreviews: 'SelfSubjectAccessReview',
  selfsubjectreviews: 'SelfSubjectReview',
  selfsubjectrulesreviews: 'SelfSubjectRulesReview',
  servicecidrs: 'ServiceCIDR',
  storageclasses: 'StorageClass',
  subjectaccessreviews: 'SubjectAccessReview',
  tokenreviews: 'TokenReview',
  validatingadmissionpolicies: 'ValidatingAdmissionPolicy',
  validatingadmissionpolicybindings: 'ValidatingAdmissionPolicyBinding',
  validatingwebhookconfigurations: 'ValidatingWebhookConfiguration',
  volumeattachments: 'VolumeAttachment',
  volumeattributesclasses: 'VolumeAttributesClass',
};

const kinds: ReadonlyMap<string, string> = new Map([
  ...Object.entries(namespacedKinds),
  ...Object.entries(clusterKinds),
]);
const clusterScoped: ReadonlySet<string> = new Set(Object.values(clusterKinds));
const builtIn: ReadonlySet<string> = new Set(kinds.values());

/** The kind of a built-in plural (`pods` is Pod); for any other plural, the plural itself. */
export function kindOf(plural: string): string {
  return kinds.get(plural) ?? plural;
}

/** Whether a kind is a built-in one whose objects have no namespace. */
export function isClusterScoped(kind: string): boolean {
  return clusterScoped.has(kind);
}

/** Whether Kubernetes itself has a kind of this name. */
export function isBuiltIn(kind: string): boolean {
  return builtIn.has(kind);
}
