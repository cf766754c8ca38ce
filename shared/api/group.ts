import type { KindSelector } from './kind-selector.ts';

/** The API group of the CRDs, and the prefix of our labels and annotations. */
export const group = 'zen.kube-zen.io';

/** A kind that its users write, in v1alpha1. */
export function configurationKind(kind: string): KindSelector {
  return { group, versions: ['v1alpha1'], kind, plural: `${kind.toLowerCase()}s`, namespaced: true };
}
