import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A connection whose bytes a test writes itself. */
export interface Connection {
  readonly socket: Socket;
  /** Writes bytes. A Host that is `x` becomes the one that was connected to: local mode refuses any other. */
  send(text: string): void;
  /** All that came back, once the other side has closed it. */
  readonly closed: Promise<string>;
}

export async function openConnection(url: string): Promise<Connection> {
  const { host, hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => undefined);
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(answer)));
  await Promise.race([once(socket, 'connect'), closed]);
  const send = (text: string): void => void socket.write(text.replaceAll('Host: x\r\n', `Host: ${host}\r\n`));
  return { socket, send, closed };
}
