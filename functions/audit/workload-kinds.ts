/** The kinds of Kubernetes that run Pods or are templates of some, by plural, with their group. */
export const workloads: ReadonlyMap<string, string> = new Map([
  ['pods', ''],
  ['replicationcontrollers', ''],
  ['podtemplates', ''],
  ['deployments', 'apps'],
  ['daemonsets', 'apps'],
  ['statefulsets', 'apps'],
  ['replicasets', 'apps'],
  ['jobs', 'batch'],
  ['cronjobs', 'batch'],
]);

/** Kinds of others that run Pods of a template. */
export const foreignWorkloads: ReadonlyMap<string, string> = new Map([
  ['rollouts', 'argoproj.io'],
  ['services', 'serving.knative.dev'],
]);
