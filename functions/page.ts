import * as z from 'zod';
import { definePage } from '../shared/function/definitions.ts';

/** A header's value, of which there may be several. */
function first(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}

/**
 * Shows people what is stored. It has no rights of its own: the API server is asked with the token of whoever looks. A proxy
 * in front of it, which signs people in, puts the token into a header: oauth2-proxy, Pinniped, a service mesh.
 */
export default definePage({
  name: 'page',
  settings: z.object({}),
  permissions: [],
  isOptional: true,
  tokenOf({ authorization, 'x-forwarded-access-token': forwarded }) {
    const bearer = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i.exec(first(authorization) ?? '')?.[1];
    return bearer ?? (first(forwarded) || undefined);
  },
  signIn:
    'This page shows what the API server lets you see, so it needs your token. A proxy in front of it, such as oauth2-proxy, signs you in and sends the token in the header Authorization (Bearer) or X-Forwarded-Access-Token. Open the page by the address of that proxy; knative/PAGE.md says how to set one up.',
});
