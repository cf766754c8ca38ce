import { isIP, connect as tcpConnect } from 'node:net';
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls';
import { type Cancel, type Connections, createConnections, type Exchange } from './connections.ts';

export type Tls = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized' | 'servername'>;

export interface HttpRequest {
  readonly method: string;
  /** With its query, percent-encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Ends the request, whatever has become of it by then. */
  readonly signal: AbortSignal;
}

export interface HttpClient {
  /** Resolves when it is on its way; what becomes of it, the exchange is told. */
  send(request: HttpRequest, exchange: Exchange): Promise<Cancel>;
  close(): void;
}

export interface HttpClientOptions {
  /** Scheme, host and port; what else is in it plays no part. */
  readonly server: URL;
  /** TLS options as they are now: others than before need other connections. */
  tls(): Tls | Promise<Tls>;
  /** How many connections there may be. */
  readonly limit: number;
}

function isSame(a: Tls, b: Tls): boolean {
  const keys = ['ca', 'cert', 'key', 'rejectUnauthorized', 'servername'] as const;
  return keys.every((key) => a[key] === b[key] || JSON.stringify(a[key]) === JSON.stringify(b[key]));
}

/** A header or a path that would end its line makes another request of what follows. */
function checked(text: string): string {
  if (/[^\t\x20-\x7e]/.test(text)) throw new Error('a request with characters that no header may hold');
  return text;
}

function headOf({ method, path, headers, body }: HttpRequest, host: string): string {
  // Audit logs and managedFields name whoever writes by it.
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, 'User-Agent: zen-watcher'];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (body !== undefined) lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  return `${lines.map(checked).join('\r\n')}\r\n\r\n`;
}

/** Speaks HTTP/1.1 with one server over keep-alive connections. */
export function createHttpClient({ server, tls, limit }: HttpClientOptions): HttpClient {
  const isTls = server.protocol === 'https:';
  const address = {
    host: server.hostname.replace(/^\[|\]$/g, ''),
    port: Number(server.port || (isTls ? 443 : 80)),
    ...{ noDelay: true, keepAlive: true },
  };
  const servername = isIP(address.host) ? {} : { servername: address.host };
  let connections: Connections | undefined;
  let connectionsAreFor: Tls = {};

  function connectionsWith(options: Tls): Connections {
    if (!isTls) return createConnections({ open: () => tcpConnect(address), limit });
    let session: Buffer | undefined;
    const open = () => {
      const secure = { ...servername, ALPNProtocols: ['http/1.1'], ...options, ...(session && { session }) };
      return tlsConnect({ ...address, ...secure }).on('session', (next) => {
        session = next;
      });
    };
    return createConnections({ open, limit });
  }

  /** A rotated CA needs new connections; the old ones end with what is in flight on them. */
  async function current(): Promise<Connections> {
    const options = isTls ? await tls() : {};
    if (connections && isSame(options, connectionsAreFor)) return connections;
    connections?.retire();
    connections = connectionsWith(options);
    connectionsAreFor = options;
    return connections;
  }

  return {
    async send(request, exchange) {
      const { signal, body = '' } = request;
      const head = headOf(request, server.host);
      const to = await current();
      const cancel = to.send(typeof body === 'string' ? head + body : Buffer.concat([Buffer.from(head), body]), {
        onHead: (arrived) => exchange.onHead(arrived),
        onData: (chunk) => exchange.onData(chunk),
        onEnd() {
          signal.removeEventListener('abort', onAbort);
          exchange.onEnd();
        },
        onError(error) {
          signal.removeEventListener('abort', onAbort);
          exchange.onError(error);
        },
      });
      const onAbort = (): void => cancel(new Error('the time for it is over'));
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort);
      return cancel;
    },
    close() {
      connections?.close();
    },
  };
}
