import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A connection whose bytes a test writes itself. */
export interface Connection {
  readonly socket: Socket;
  /** All that came back, once the other side has closed it. */
  readonly closed: Promise<string>;
}

export async function openConnection(url: string): Promise<Connection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => undefined);
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(answer)));
  await Promise.race([once(socket, 'connect'), closed]);
  return { socket, closed };
}
