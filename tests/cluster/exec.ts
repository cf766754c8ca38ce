import { randomBytes } from 'node:crypto';
import { request } from 'node:https';
import { until } from '../host/program.ts';
import type { Cluster } from './cluster.ts';

const upgrades = {
  SPDY: { method: 'POST', headers: { upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' } },
  WebSocket: {
    method: 'GET',
    headers: {
      ...{ upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-protocol': 'v5.channel.k8s.io' },
      'sec-websocket-key': randomBytes(16).toString('base64'),
    },
  },
} as const;

/** Opens a session of a Pod as kubectl does, and ends it once the kubelet has it. Resolves to the status. */
export function openSession(
  cluster: Cluster,
  protocol: keyof typeof upgrades,
  path: string,
  { token, sessions }: { readonly token: string; readonly sessions: readonly string[] },
): Promise<number> {
  const before = sessions.length;
  const { method, headers } = upgrades[protocol];
  const [host = '', port = ''] = cluster.server.split(':');
  return new Promise((resolve, reject) => {
    const call = request({
      ...{ host, port, method, path, rejectUnauthorized: false },
      headers: { ...headers, connection: 'Upgrade', authorization: `Bearer ${token}`, 'user-agent': 'kubectl/v1.36.3' },
    });
    call.on('upgrade', (response, socket) => {
      socket.on('error', () => socket.destroy());
      socket.resume();
      const reached = until('the kubelet has the session', () => sessions.length > before);
      reached.then(() => resolve(response.statusCode ?? 0), reject).finally(() => socket.destroy());
    });
    call.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    call.on('error', reject);
    call.end();
  });
}
