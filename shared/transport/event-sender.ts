import { existsSync, readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { encodeRequest } from '../edge/cloud-event-http.ts';
import type { CloudEvent } from '../function/cloud-event.ts';
import { Refusal } from '../function/refusal.ts';
import { traceIdOf } from '../function/trace-context.ts';
import { createHttpClient, type HttpClient, type Tls } from './http-client.ts';

export interface SendOptions {
  readonly signal: AbortSignal;
  /** Milliseconds for the response. */
  readonly limit: number;
  readonly token?: string | undefined;
  /** CA certificates (PEM) that are trusted in addition to Node's own. */
  readonly caCerts?: string | undefined;
}

export interface Sender {
  /** Sends an event to an address; resolves to the status of the response, or 503 if there is none. */
  sendTo(url: string, event: CloudEvent, options: SendOptions): Promise<number>;
}

/**
 * The limit of connections to one address. It is high, since a Broker answers only once every subscriber has the event,
 * or has failed to take it.
 */
const maxConnections = 64;

/** For the same reason, longer than an attempt at anything else may take: a function has as long for an event. */
const brokerMilliseconds = 60_000;

/** The connections to one origin, and what they are checked against. The same object for the same certificates. */
interface Peer {
  readonly client: HttpClient;
  caCerts: string | undefined;
  tls: Tls;
}

/** Sends events over keep-alive connections. */
export function createSender(): Sender {
  /** By origin: the Broker, and functions that are sent events directly. */
  const peers = new Map<string, Peer>();

  function clientFor(url: URL, caCerts: string | undefined): HttpClient {
    const known = peers.get(url.origin);
    const peer: Peer = known ?? {
      client: createHttpClient({ server: url, tls: () => peer.tls, limit: maxConnections }),
      caCerts: undefined,
      tls: {},
    };
    peers.set(url.origin, peer);
    if (peer.caCerts !== caCerts) {
      peer.caCerts = caCerts;
      peer.tls = caCerts === undefined ? {} : { ca: [...rootCertificates, caCerts] };
    }
    return peer.client;
  }

  async function post(to: string, event: CloudEvent, { signal, limit, token, caCerts }: SendOptions): Promise<number> {
    const url = new URL(to);
    const { headers, body } = encodeRequest(event);
    const { traceparent } = event.extensions;
    const response = await clientFor(url, caCerts).send({
      method: 'POST',
      path: url.pathname + url.search,
      headers: {
        ...headers,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        // Proxies on the way read the trace from this header, and not from the event.
        ...(traceIdOf(traceparent) !== undefined && { traceparent }),
      },
      body,
      signal,
      timeout: limit,
    });
    // The body is of no use, but the connection is free for the next event only once it has been read.
    response.on('error', () => undefined).resume();
    return response.statusCode ?? 503;
  }

  return { sendTo: (url, event, options) => post(url, event, options).catch(() => 503) };
}

/** Where a Broker takes events, and what it asks of who sends them. */
export interface Destination {
  readonly url: string;
  /** CA certificates (PEM) that are trusted in addition to Node's own. */
  readonly caCerts: string | undefined;
  /** The file of the token to send; none is sent without one, or if there is no such file. */
  readonly tokenFile: string | undefined;
  /** Attributes to add to every event. */
  readonly extensions: Readonly<Record<string, string>>;
}

/** Reads the token each time, since the kubelet replaces the file while the process runs. */
function tokenIn(file: string | undefined): string | undefined {
  return file !== undefined && existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

/**
 * Publishes to the Broker, wherever it is now: `undefined` while there is none. Throws a Refusal 503 unless the Broker has
 * accepted the event.
 */
export function createPublisher(sender: Sender, destination: () => Destination | undefined) {
  return async (event: CloudEvent, signal: AbortSignal): Promise<void> => {
    const to = destination();
    if (to === undefined) throw new Refusal(503, 'there is no Broker yet, or it has no address', { retryAfter: 5 });
    const extended = { ...event, extensions: { ...event.extensions, ...to.extensions } };
    const { caCerts } = to;
    const token = tokenIn(to.tokenFile);
    const status = await sender.sendTo(to.url, extended, { signal, limit: brokerMilliseconds, token, caCerts });
    if (status < 200 || status >= 300)
      throw new Refusal(503, 'the Broker did not take the event', { cause: `status ${status}` });
  };
}
