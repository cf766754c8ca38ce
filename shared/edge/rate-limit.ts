import { Refusal } from '../function/refusal.ts';

const minute = 60_000;

/** How many clients are remembered; the one that has been silent longest is forgotten first. */
const maxClients = 10_000;

/** Takes a request from the client's bucket, which holds a minute's requests and fills evenly. Throws a Refusal 429. */
export function createRateLimit(requestsPerMinute: number, elapsed: () => number): (client: string) => void {
  const clients = new Map<string, { left: number; at: number }>();
  return (client) => {
    const bucket = clients.get(client) ?? { left: requestsPerMinute, at: elapsed() };
    const left = Math.min(requestsPerMinute, bucket.left + ((elapsed() - bucket.at) * requestsPerMinute) / minute);
    clients.delete(client);
    clients.set(client, { left: left >= 1 ? left - 1 : left, at: elapsed() });
    const oldest = clients.size > maxClients ? clients.keys().next().value : undefined;
    if (oldest !== undefined) clients.delete(oldest);
    if (left >= 1) return;
    const retryAfter = Math.max(1, Math.ceil(((1 - left) * 60) / requestsPerMinute));
    throw new Refusal(429, 'too many requests', { retryAfter });
  };
}
