import type { Answer, Cluster } from './cluster.ts';

export const nodeUser = { name: 'system:node:n1', groups: ['system:nodes'] };

const node = 'n1';
const strategic = { contentType: 'application/strategic-merge-patch+json' };
const heartbeatMilliseconds = 5000;

interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly deletionTimestamp?: string;
    readonly ownerReferences?: readonly { readonly kind: string }[];
  };
  readonly spec: { readonly containers: readonly { readonly name: string; readonly image: string }[] };
  readonly status: { readonly phase: string };
}

/** What a kubelet writes of a Pod whose containers run, or have done what they were made for. */
function statusOf({ spec }: Pod, phase: 'Running' | 'Succeeded') {
  const now = new Date().toISOString().replace(/\.\d+/, '');
  const isReady = phase === 'Running';
  const terminated = { exitCode: 0, reason: 'Completed', startedAt: now, finishedAt: now };
  const state = isReady ? { running: { startedAt: now } } : { terminated };
  return {
    ...{ phase, podIP: '10.1.0.9', podIPs: [{ ip: '10.1.0.9' }], startTime: now },
    conditions: ['Initialized', 'ContainersReady', 'Ready', 'PodScheduled'].map((type) => ({
      ...{ type, status: isReady || type === 'Initialized' ? 'True' : 'False', lastTransitionTime: now },
    })),
    containerStatuses: spec.containers.map(({ name, image }) => ({
      ...{ name, image, imageID: image, ready: isReady, restartCount: 0, started: isReady, state },
    })),
  };
}

/** A Node without a machine: its loop does for Pods what a kubelet does at the API server, and runs nothing. */
export async function startNode(cluster: Cluster) {
  const token = cluster.tokenOf(nodeUser.name);
  const ask = (method: string, path: string, body?: unknown, options = {}): Promise<Answer> =>
    cluster.request(method, path, body, { token, headers: { 'user-agent': 'kubelet/v1.36.3' }, ...options });
  const capacity = { cpu: '64', memory: '256Gi', pods: '500' };

  async function beat(): Promise<void> {
    const now = new Date().toISOString();
    const conditions = [
      { type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: now.replace(/\.\d+/, '') },
    ];
    const status = { capacity, allocatable: capacity, conditions };
    await ask('PATCH', `/api/v1/nodes/${node}/status`, { status }, strategic);
    const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
    const spec = { holderIdentity: node, leaseDurationSeconds: 40, renewTime: now.replace('Z', '000Z') };
    const { status: found } = await ask('PATCH', `${leases}/${node}`, { spec }, strategic);
    if (found === 404) await ask('POST', leases, { metadata: { name: node }, spec });
  }

  async function treat(pod: Pod): Promise<void> {
    const { name, namespace, uid, deletionTimestamp, ownerReferences = [] } = pod.metadata;
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    if (deletionTimestamp !== undefined) {
      await ask('DELETE', path, { gracePeriodSeconds: 0, preconditions: { uid } });
    } else if (pod.status.phase === 'Pending') {
      const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name, uid };
      const tokens = `/api/v1/namespaces/${namespace}/serviceaccounts/default/token`;
      await ask('POST', tokens, { spec: { expirationSeconds: 3607, boundObjectRef } });
      await ask('PATCH', `${path}/status`, { status: statusOf(pod, 'Running') }, strategic);
    } else if (pod.status.phase === 'Running' && ownerReferences.some(({ kind }) => kind === 'Job')) {
      await ask('PATCH', `${path}/status`, { status: statusOf(pod, 'Succeeded') }, strategic);
    }
  }

  let isOver = false;
  async function loop(): Promise<void> {
    let last = 0;
    while (!isOver) {
      if (Date.now() - last > heartbeatMilliseconds) {
        await beat();
        last = Date.now();
      }
      const { body } = await ask('GET', `/api/v1/pods?fieldSelector=spec.nodeName%3D${node}&resourceVersion=0`);
      const pods: Pod[] = body.items ?? [];
      for (const pod of pods) await treat(pod);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  await ask('POST', '/api/v1/nodes', { metadata: { name: node } });
  const looping = loop();
  return {
    async stop(): Promise<void> {
      isOver = true;
      await looping;
    },
  };
}
