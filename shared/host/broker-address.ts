import * as z from 'zod';
import type { KubernetesObject } from '../function/stores.ts';

/** https://knative.dev/docs/eventing/brokers/ and https://knative.dev/docs/eventing/features/sender-identity/ */
const brokerSchema = z.object({
  status: z.object({
    address: z.object({
      url: z.url({ protocol: /^https?$/ }),
      CACerts: z.string().nullish(),
      audience: z.string().nullish(),
    }),
  }),
});

/** Where a Broker takes events. */
export interface BrokerAddress {
  readonly url: string;
  /** CA certificates (PEM) to check it against, besides those that Node trusts. */
  readonly caCerts: string | undefined;
  /** Whom a token must be for. Without one it asks for no token. */
  readonly audience: string | undefined;
}

/** The address of the only Broker there; `undefined` while there is none, or it has no address. */
export function brokerAddressIn(brokers: readonly KubernetesObject[]): BrokerAddress | undefined {
  const { data } = brokerSchema.safeParse(brokers[0]);
  if (!data) return undefined;
  const { url, CACerts: caCerts, audience } = data.status.address;
  return { url, caCerts: caCerts || undefined, audience: audience || undefined };
}
