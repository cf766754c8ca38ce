import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Cluster } from './cluster.ts';

/** The API server reaches no node at a loopback address, so another of this machine stands for it, if there is one. */
export function nodeAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
}

const webSocketGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** What a server answers that agrees to speak another protocol, SPDY or WebSocket. */
function switching(headers: Readonly<Record<string, string | string[] | undefined>>): string {
  const key = headers['sec-websocket-key'];
  const protocol = String(headers['sec-websocket-protocol'] ?? headers['x-stream-protocol-version'] ?? '').split(
    ',',
  )[0];
  const lines =
    typeof key === 'string'
      ? [
          'Upgrade: websocket',
          `Sec-WebSocket-Accept: ${createHash('sha1').update(`${key}${webSocketGuid}`).digest('base64')}`,
          `Sec-WebSocket-Protocol: ${protocol}`,
        ]
      : ['Upgrade: SPDY/3.1', `X-Stream-Protocol-Version: ${protocol}`];
  return ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', ...lines, '', ''].join('\r\n');
}

/** A server that plays the kubelet of a Node: it takes sessions, says nothing in them, and lists no Pods. */
export async function startKubelet(cluster: Cluster) {
  const read = (file: string): Buffer => readFileSync(join(cluster.certificates, file));
  const sessions: string[] = [];
  const open = new Set<Duplex>();
  const address = nodeAddress();
  const server = createServer({ key: read('apiserver.key'), cert: read('apiserver.crt') }, (request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"kind":"PodList","items":[]}');
  });
  server.on('upgrade', (request, socket) => {
    sessions.push(request.url ?? '');
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.write(switching(request.headers));
  });
  server.listen(0, address);
  await once(server, 'listening');
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return {
    /** The status of a Node whose kubelet this is. */
    nodeStatus: {
      addresses: [{ type: 'InternalIP', address }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
      capacity: { cpu: '64', memory: '256Gi', pods: '500' },
      allocatable: { cpu: '64', memory: '256Gi', pods: '500' },
    },
    /** The paths of the sessions that were opened. */
    sessions,
    stop: () => {
      server.close();
      for (const socket of open) socket.destroy();
      server.closeAllConnections();
    },
  };
}
