import type { RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import type { Credentials } from './credentials.ts';

/**
 * Credentials from a context of a kubeconfig file, its current one unless another is named, whatever its way to
 * authenticate. Throws an Error.
 */
export function kubeconfigCredentials(file: string, context?: string): Credentials {
  const config = new KubeConfig();
  config.loadFromFile(file);
  if (context !== undefined) {
    const names = config.getContexts().map(({ name }) => name);
    if (!names.includes(context)) throw new Error(`it has no context ${context}, only ${names.join(', ')}`);
    config.setCurrentContext(context);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error('it has no current context');

  async function options(): Promise<RequestOptions> {
    const applied: RequestOptions = {};
    await config.applyToHTTPSOptions(applied);
    return applied;
  }
  return {
    server: cluster.server,
    async tls() {
      const { ca, cert, key, rejectUnauthorized, servername } = await options();
      return {
        ...(ca !== undefined && { ca }),
        ...(cert !== undefined && { cert }),
        ...(key !== undefined && { key }),
        ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
        ...(servername !== undefined && { servername }),
      };
    },
    async authorization() {
      const { headers } = await options();
      const value = new Headers(
        Object.entries(headers ?? {}).map(([name, one]): [string, string] => [name, String(one)]),
      );
      return value.get('authorization') ?? undefined;
    },
  };
}
