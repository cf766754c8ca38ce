import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';

/** Hardly any client sends a request before the one before is answered, and Go's and Node's never do. */
const maxUnanswered = 100;

/**
 * Closes a connection that has more requests unanswered than that: of those that arrive in one piece, thousands would
 * keep everybody else waiting.
 */
export function limitPipelining(listener: RequestListener): RequestListener {
  const unanswered = new WeakMap<Socket, number>();
  const countOf = (socket: Socket): number => unanswered.get(socket) ?? 0;
  return (request, response) => {
    const { socket } = request;
    // What follows in the same piece arrives here all the same.
    if (socket.destroyed) return;
    if (countOf(socket) >= maxUnanswered) return void socket.destroy();
    unanswered.set(socket, countOf(socket) + 1);
    response.once('close', () => unanswered.set(socket, countOf(socket) - 1));
    listener(request, response);
  };
}
