import { type FunctionDefinition, marksNews } from '../../shared/function/definitions.ts';
import { announcerIn } from './announcing.ts';
import { type Manifest, metadataOf, ownLabels, systemNamespace } from './manifests.ts';
import { postsToBroker } from './network-policies.ts';

/**
 * Who may post to the Broker, where Knative's authentication is on. Knative has no such policy for a Service, which is what a
 * function is: https://knative.dev/docs/eventing/features/authorization/
 */
export function eventPolicy(definitions: readonly FunctionDefinition[]): Manifest {
  const announcer = announcerIn(definitions);
  const senders = definitions.filter((one) => postsToBroker(one) || one === announcer || marksNews(one));
  return {
    apiVersion: 'eventing.knative.dev/v1alpha1',
    kind: 'EventPolicy',
    metadata: metadataOf('zen-watcher'),
    spec: {
      // By label, since overlays give the Broker other names.
      to: [{ selector: { apiVersion: 'eventing.knative.dev/v1', kind: 'Broker', matchLabels: ownLabels } }],
      from: senders.map(({ name }) => ({ sub: `system:serviceaccount:${systemNamespace}:${name}` })),
    },
  };
}
