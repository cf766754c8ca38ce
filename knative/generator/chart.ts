import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import * as z from 'zod';
import type { FunctionDefinition } from '../../shared/function/definitions.ts';
import { cluster, note } from './chart-conditions.ts';
import { functionTemplate } from './chart-functions.ts';
import {
  budgetsTemplate,
  eventPolicyTemplate,
  monitoringTemplate,
  networkTemplate,
  priorityTemplate,
  sharedTemplate,
} from './chart-shared.ts';
import { standaloneTemplate } from './chart-standalone.ts';
import { defaultValues, valuesSchema, valuesTable, valuesYaml } from './chart-values.ts';
import { documentUrl, release } from './repository.ts';

const crdFolder = join(import.meta.dirname, '..', '..', 'crds');
const crdFiles = readdirSync(crdFolder).filter((file) => file.endsWith('.yaml'));

/** As it is in crds/, and kept when the release goes, with all objects of it. */
function crdTemplate(file: string): string {
  const text = readFileSync(join(crdFolder, file), 'utf8');
  const kept = text.replace(/^metadata:\n/m, 'metadata:\n  annotations: { helm.sh/resource-policy: keep }\n');
  return `${note}{{- include "zen-watcher.defaults" . }}\n{{- if and ${cluster} .Values.crd.install }}\n${kept}{{- end }}\n`;
}

/** The defaults once more, since `--reuse-values` brings those of the chart before, which lack what is new. */
function defaultsTemplate(all: readonly FunctionDefinition[]): string {
  return `${note}{{- define "zen-watcher.defaultValues" }}\n${stringify(defaultValues(all))}{{- end }}\n`;
}

/** The chart's README with its table of values, which stands between two marks. */
function readmeWithTable(table: string): string {
  const text = readFileSync(join(import.meta.dirname, '..', 'chart', 'README.md'), 'utf8');
  return text.replace(/(<!-- values -->\n)[\s\S]*(<!-- end of values -->)/, `$1${table}\n$2`);
}

const crdShape = z.looseObject({
  metadata: z.looseObject({ name: z.string() }),
  spec: z.looseObject({
    names: z.looseObject({ kind: z.string() }),
    versions: z.tuple([
      z.looseObject({
        name: z.string(),
        schema: z.looseObject({ openAPIV3Schema: z.looseObject({ description: z.string() }) }),
      }),
    ]),
  }),
});

/** What Artifact Hub shows of a CRD. https://artifacthub.io/docs/topics/annotations/helm/ */
function shownCrd(file: string): object {
  const { metadata, spec } = crdShape.parse(parse(readFileSync(join(crdFolder, file), 'utf8')));
  const [{ name: version, schema }] = spec.versions;
  const { kind } = spec.names;
  return { kind, version, name: metadata.name, displayName: kind, description: schema.openAPIV3Schema.description };
}

function chartYaml(): string {
  const { version, description, repository, license } = release;
  const links = [
    { name: 'Operating', url: documentUrl('knative/OPERATING.md', 'the-operators-first-day') },
    {
      name: 'Coming from the Go zen-watcher',
      url: documentUrl('knative/COMING-FROM-THE-GO-ZEN-WATCHER.md', 'migrate'),
    },
  ];
  const annotations = {
    'artifacthub.io/category': 'security',
    'artifacthub.io/license': license,
    'artifacthub.io/links': stringify(links),
    'artifacthub.io/crds': stringify(crdFiles.map(shownCrd), { lineWidth: 0 }),
  };
  return stringify(
    {
      ...{ apiVersion: 'v2', name: 'zen-watcher', type: 'application', version, appVersion: version },
      ...{ description, home: repository, sources: [repository], kubeVersion: '>=1.30.0-0' },
      keywords: ['security', 'compliance', 'knative', 'falco', 'trivy', 'kyverno', 'audit'],
      annotations,
    },
    { lineWidth: 0 },
  );
}

/** Every generated file of the Helm chart, by its path in this folder. */
export function chartFiles(all: readonly FunctionDefinition[]): [string, string][] {
  return [
    ['chart/Chart.yaml', chartYaml()],
    ['chart/values.yaml', valuesYaml(all)],
    ['chart/values.schema.json', `${JSON.stringify(valuesSchema(all), null, 2)}\n`],
    ['chart/README.md', readmeWithTable(valuesTable(all))],
    ['chart/templates/shared/_default-values.tpl', defaultsTemplate(all)],
    ['chart/templates/shared/shared.yaml', sharedTemplate(all)],
    ['chart/templates/shared/standalone.yaml', standaloneTemplate(all)],
    ['chart/templates/shared/network-policies.yaml', networkTemplate(all)],
    ['chart/templates/shared/monitoring.yaml', monitoringTemplate(all)],
    ['chart/templates/shared/disruption-budgets.yaml', budgetsTemplate()],
    ['chart/templates/shared/api-priority.yaml', priorityTemplate()],
    ['chart/templates/shared/event-policy.yaml', eventPolicyTemplate(all)],
    ...crdFiles.map((file): [string, string] => [`chart/templates/crds/${file}`, crdTemplate(file)]),
    ...all.map((one): [string, string] => [`chart/templates/functions/${one.name}.yaml`, functionTemplate(one, all)]),
  ];
}
