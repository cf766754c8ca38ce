import { stringify } from 'yaml';
import type { Manifest } from './manifests.ts';

/** The namespace that the manifests are generated for. In a template it is the release's. */
const namespaceExpression = '{{ include "zen-watcher.namespace" . }}';

/** What a template must write so that YAML has this: braces of Prometheus' own templates among it. */
function yamlOf(content: unknown): string {
  return stringify(content, { lineWidth: 0, aliasDuplicateObjects: false }).replaceAll('{{', '{{ "{{" }}');
}

/**
 * Makes templates of manifests. What depends on values stands in a manifest as a word that YAML leaves as it is, and is
 * replaced in the text.
 */
export function createTemplates(systemNamespace: string) {
  const expressions = new Map<string, string>();
  const blocks = new Map<string, (indent: string) => readonly string[]>();
  const namespace = 'zznamespacezz';
  let count = 0;
  const word = (kind: string): string => `zz${kind}${count++}zz`;

  /** A value, or a part of one. */
  function value(expression: string): string {
    const placeholder = word('value');
    expressions.set(placeholder, `{{ ${expression} }}`);
    return placeholder;
  }

  /** Lines in the place of one or more members: spread it where they would be. */
  function block(lines: (indent: string) => readonly string[]): Readonly<Record<string, null>> {
    const placeholder = word('block');
    blocks.set(placeholder, lines);
    return { [placeholder]: null };
  }

  /** Lines that stand in a template as they are, indented like what they are among. */
  function literally(...lines: string[]): Readonly<Record<string, null>> {
    return block((indent) => lines.map((line) => indent + line));
  }

  function conditional(condition: string, content: unknown): Readonly<Record<string, null>> {
    const lines = yamlOf(content).trimEnd().split('\n');
    return block((indent) => [
      `${indent}{{- if ${condition} }}`,
      ...lines.map((line) => indent + line),
      `${indent}{{- end }}`,
    ]);
  }

  /** Members that are there under a condition. */
  function when(condition: string, members: object): Readonly<Record<string, null>> {
    return conditional(condition, members);
  }

  /** An item of a list that is there under a condition. */
  function itemWhen(condition: string, item: unknown): Readonly<Record<string, null>> {
    return conditional(condition, [item]);
  }

  /** What a named template makes, in the place of members or of a list's items. */
  function included(expression: string): Readonly<Record<string, null>> {
    return block((indent) => [`${indent}{{- ${expression} | nindent ${indent.length} }}`]);
  }

  function expanded(line: string): readonly string[] {
    const [, indent = '', placeholder] = /^( *)(?:- )?(zzblock\d+zz)(?:: null)?$/.exec(line) ?? [];
    const lines = blocks.get(placeholder ?? '')?.(indent);
    return lines ? lines.flatMap(expanded) : [line];
  }

  function text(manifest: Manifest): string {
    const marked = JSON.parse(JSON.stringify(manifest), (_key, member) =>
      typeof member === 'string' ? member.replaceAll(systemNamespace, namespace) : member,
    );
    return yamlOf(marked)
      .split('\n')
      .flatMap(expanded)
      .join('\n')
      .replaceAll(systemNamespace, namespace)
      .replaceAll(namespace, namespaceExpression)
      .replace(/zzvalue\d+zz/g, (placeholder) => expressions.get(placeholder) ?? placeholder);
  }

  return { value, literally, when, included, itemWhen, text };
}

export type Templates = ReturnType<typeof createTemplates>;

/** Manifests that are there under the same condition; without one, always. */
export interface Part {
  readonly condition?: string;
  readonly manifest: Manifest;
}

/** The text of a template: what follows each other under the same condition stands in one `if`. */
export function templateText(templates: Templates, parts: readonly Part[]): string {
  const lines: string[] = [];
  let open: string | undefined;
  for (const { condition, manifest } of parts) {
    if (condition !== open && open !== undefined) lines.push('{{- end }}');
    if (condition !== open && condition !== undefined) lines.push(`{{- if ${condition} }}`);
    open = condition;
    lines.push('---', templates.text(manifest).trimEnd());
  }
  if (open !== undefined) lines.push('{{- end }}');
  return `${lines.join('\n')}\n`;
}
