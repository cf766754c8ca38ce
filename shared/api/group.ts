import type { KindSelector } from './kind-selector.ts';

/** The API group of our CRDs, and the prefix of our labels and annotations. */
export const group = 'zen.kube-zen.io';

/** One of our kinds that users write to configure zen-watcher; all of them are v1alpha1. */
export function configurationKind(kind: string): KindSelector {
  return { group, versions: ['v1alpha1'], kind, plural: `${kind.toLowerCase()}s`, namespaced: true };
}
