import type { Socket } from 'node:net';
import { type AnswerReader, createAnswerReader, type Receiver } from './answer-reader.ts';

export interface Exchange extends Receiver {
  /** Instead of `onEnd`: the connection could not be made, or broke. */
  onError(error: Error): void;
}

/** Stops an exchange, whose `onError` is told why; one that is over is left alone. */
export type Cancel = (reason: Error) => void;

export interface Connections {
  /** Sends a request over a connection that is free, a new one, or, where there are as many as may be, the next. */
  send(request: string | Uint8Array, exchange: Exchange): Cancel;
  /** Takes no more requests, and closes each connection when what it carries is over. */
  retire(): void;
  /** Closes all of them at once. */
  close(): void;
}

export interface ConnectionsOptions {
  /** Begins to connect. */
  open(): Socket;
  /** How many there may be. */
  readonly limit: number;
}

interface Job {
  readonly request: string | Uint8Array;
  readonly exchange: Exchange;
  /** What carries it: none before and after. */
  socket?: Socket | undefined;
}

interface Connection {
  readonly socket: Socket;
  run(job: Job): void;
}

/** Keep-alive connections to one server, each with one request at a time. */
export function createConnections({ open, limit }: ConnectionsOptions): Connections {
  const all = new Set<Socket>();
  const idle: Connection[] = [];
  const waiting: Job[] = [];
  let isRetired = false;

  function release(connection: Connection): void {
    const job = waiting.shift();
    if (job) return connection.run(job);
    if (isRetired) return void connection.socket.destroy();
    // It must not keep the process from its end.
    connection.socket.unref();
    idle.push(connection);
  }

  function connect(): Connection {
    const socket = open();
    all.add(socket);
    let current: { readonly job: Job; readonly reader: AnswerReader } | undefined;
    /** What it carries ends here, either way. */
    const finish = (): Job | undefined => {
      const job = current?.job;
      current = undefined;
      if (job) job.socket = undefined;
      return job;
    };
    const fail = (error: unknown): void => {
      const job = finish();
      socket.destroy();
      job?.exchange.onError(error instanceof Error ? error : new Error('an unexpected fault', { cause: error }));
    };
    const connection: Connection = {
      socket,
      run(job) {
        current = { job, reader: createAnswerReader(job.exchange) };
        job.socket = socket;
        socket.ref();
        socket.write(job.request);
      },
    };
    socket.on('data', (chunk) => {
      // What nobody has asked for is the server's goodbye.
      if (!current) return socket.destroy();
      const { reader } = current;
      try {
        reader.read(chunk);
      } catch (error) {
        return fail(error);
      }
      if (!reader.isOver()) return;
      finish();
      if (reader.isReusable()) release(connection);
      else socket.destroy();
    });
    socket.on('error', fail);
    socket.on('close', () => {
      all.delete(socket);
      const at = idle.indexOf(connection);
      if (at !== -1) idle.splice(at, 1);
      try {
        current?.reader.end();
        finish();
      } catch (error) {
        fail(error);
      }
      const next = waiting.shift();
      if (next) connect().run(next);
    });
    return connection;
  }

  return {
    send(request, exchange) {
      const job: Job = { request, exchange };
      const connection = idle.pop() ?? (all.size < limit ? connect() : undefined);
      if (connection) connection.run(job);
      else waiting.push(job);
      return (reason) => {
        if (job.socket) return void job.socket.destroy(reason);
        const at = waiting.indexOf(job);
        if (at === -1) return;
        waiting.splice(at, 1);
        exchange.onError(reason);
      };
    },
    retire() {
      isRetired = true;
      for (const { socket } of idle.splice(0)) socket.destroy();
    },
    close() {
      isRetired = true;
      for (const job of waiting.splice(0)) job.exchange.onError(new Error('the client is closed'));
      // With a reason, or a body that ends with its connection would be taken for whole.
      for (const socket of all) socket.destroy(new Error('the client is closed'));
    },
  };
}
