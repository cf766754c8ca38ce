import { sleep } from '../../shared/host/sleep.ts';
import { connectCluster } from '../../shared/kubernetes/cluster.ts';
import { serviceAccountCredentials } from '../../shared/kubernetes/credentials.ts';

/** Connects as the program does, with the ServiceAccount whose token and CA are in `folder`. */
export function connectAs(server: string, folder: string) {
  return connectCluster({
    credentials: serviceAccountCredentials({ server, folder, elapsed: () => performance.now() }),
    ...{ sleep, watchNamespace: undefined, defaultTtl: 604_800, attemptSeconds: 30 },
  });
}
