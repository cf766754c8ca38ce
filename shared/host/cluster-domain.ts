/** The domain of a cluster that hasn't been given another one. */
export const defaultClusterDomain = 'cluster.local';

/**
 * The domain of the cluster's Services, told by what the kubelet has Pods search for names in (resolv.conf). Knative makes
 * addresses of it in the same way, and they are compared.
 */
export function clusterDomainIn(resolverConfiguration: string): string {
  for (const line of resolverConfiguration.split('\n')) {
    const [keyword, ...domains] = line.trim().split(/\s+/);
    const services = keyword === 'search' ? domains.find((domain) => domain.startsWith('svc.')) : undefined;
    if (services !== undefined) return services.slice('svc.'.length).replace(/\.$/, '') || defaultClusterDomain;
  }
  return defaultClusterDomain;
}
