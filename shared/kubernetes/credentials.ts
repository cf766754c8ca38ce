import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tls } from '../transport/http-client.ts';

/** Which API server, and as whom. */
export interface Credentials {
  readonly server: string;
  /** The current TLS options: they change when the CA is rotated. */
  tls(): Promise<Tls>;
  /** The value of the Authorization header. `fresh` reads it anew, after the API server has refused the last one. */
  authorization(fresh: boolean): Promise<string | undefined>;
  /** Whether they are those of whoever has asked us, so that it is their fault if they are refused. */
  readonly areCallers?: boolean;
}

export interface ServiceAccountOptions {
  /** `host:port` of the API server. */
  readonly server: string;
  /** Where the token and the CA are mounted. */
  readonly folder: string;
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number;
}

/** The kubelet replaces a mounted token long before it expires, so reading it once a minute is enough. */
const rereadMilliseconds = 60_000;

/** The credentials of whoever has sent us this token, for the same server. */
export function callerCredentials({ server, tls }: Credentials, token: string): Credentials {
  return { server, tls, authorization: async () => `Bearer ${token}`, areCallers: true };
}

/** The credentials of a pod's ServiceAccount: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
export function serviceAccountCredentials({ server, folder, elapsed }: ServiceAccountOptions): Credentials {
  function rereading(file: string): (fresh: boolean) => string {
    let text: string | undefined;
    let readAt = 0;
    return (fresh) => {
      if (text === undefined || fresh || elapsed() - readAt >= rereadMilliseconds) {
        text = readFileSync(join(folder, file), 'utf8').trim();
        readAt = elapsed();
      }
      return text;
    };
  }
  const token = rereading('token');
  const ca = rereading('ca.crt');
  return {
    server: `https://${server}`,
    tls: async () => ({ ca: ca(false) }),
    authorization: async (fresh) => `Bearer ${token(fresh)}`,
  };
}
