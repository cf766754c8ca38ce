import { brokerAudiencePath, type Manifest, postsLabel, selectorText } from './manifests.ts';

interface Target {
  readonly select: Readonly<Record<string, string>>;
  readonly fieldPaths: readonly string[];
  readonly options?: { readonly delimiter: string; readonly index: number };
}

/** Where in a value the namespace stands, if it does: whole, or between these. */
function placeOf(
  text: string,
  namespace: string,
): { readonly delimiter?: string; readonly index?: number } | undefined {
  if (text === namespace) return {};
  const delimiter = ['/', ':'].find((one) => text.split(one).includes(namespace));
  return delimiter === undefined ? undefined : { delimiter, index: text.split(delimiter).indexOf(namespace) };
}

/** The path of every text in a value, as kustomize writes paths: an item is found by its name, if it has one. */
function pathsIn(value: unknown, path: readonly string[] = []): [string, string][] {
  if (typeof value === 'string') return [[path.join('.'), value]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => {
    const name = Array.isArray(value) && typeof member?.name === 'string' && 'value' in member;
    return pathsIn(member, [...path, name ? `[name=${member.name}]` : key]);
  });
}

/**
 * A component for an overlay in another namespace. Kustomize's own `namespace` would also move what belongs to the namespaces of
 * tools, and not what stands in settings, so every place is named here.
 */
export function namespaceComponent(manifests: readonly Manifest[], namespace: string): object {
  const targets = manifests.flatMap((manifest): Target[] => {
    const { kind, apiVersion, metadata } = manifest;
    const group = apiVersion.includes('/') ? apiVersion.replace(/\/.*/, '') : '';
    const select = {
      ...(group !== '' && { group }),
      ...{ kind, name: metadata.name },
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
    };
    return pathsIn(manifest).flatMap(([path, text]): Target[] => {
      const place = placeOf(text, namespace);
      if (place === undefined) return [];
      const { delimiter, index } = place;
      const options = delimiter === undefined || index === undefined ? {} : { options: { delimiter, index } };
      return [{ select, fieldPaths: [path], ...options }];
    });
  });
  // Where others are told, whoever writes has a token for the Broker, too; where nobody is, there is no such place.
  const tokens: Target = {
    select: { group: 'serving.knative.dev', kind: 'Service', labelSelector: selectorText(postsLabel) },
    fieldPaths: [brokerAudiencePath],
    options: { delimiter: '/', index: 2 },
  };
  const source = { kind: 'ConfigMap', name: 'zen-watcher-namespace', fieldPath: 'data.namespace' };
  // An object is selected by where it is, so it is moved last.
  const isMove = ({ fieldPaths }: Target): boolean =>
    ['metadata.namespace', 'metadata.name'].includes(fieldPaths[0] ?? '');
  const ordered = [tokens, ...targets.filter((target) => !isMove(target)), ...targets.filter(isMove)];
  return {
    ...{ apiVersion: 'kustomize.config.k8s.io/v1alpha1', kind: 'Component' },
    replacements: [{ source, targets: ordered }],
  };
}
