import { stringify } from 'yaml';
import type { Grouping, LogRule } from '../../functions/audit/detection.ts';
import { detections } from '../../functions/audit/detections.ts';
import { controlPlane, knativeNamespaces, type Preset, presets } from '../../functions/audit/presets.ts';
import { systemNamespace } from './manifests.ts';

/**
 * The Policies for kube-apiserver: what it must log for the detections, and no more. A Policy's first matching rule decides,
 * and it can tell users, groups, verbs, resources and namespaces, but neither outcomes nor addresses nor impersonation.
 */

type Level = LogRule['level'];

interface PolicyRule {
  readonly level: Level | 'None';
  readonly users?: readonly string[];
  readonly userGroups?: readonly string[];
  readonly verbs?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly resources?: readonly { group: string; resources?: readonly string[]; resourceNames?: readonly string[] }[];
  readonly nonResourceURLs?: readonly string[];
  readonly omitStages?: readonly string[];
}

/** The control plane's own users, as far as a Policy can name them: it knows no wildcards. */
const systemUsers = controlPlane.filter((user) => !user.endsWith('*'));

function accountsOf(namespaces: readonly string[]): string[] {
  return namespaces.map((namespace) => `system:serviceaccounts:${namespace}`);
}

const ourAccounts = accountsOf([systemNamespace, ...knativeNamespaces]);

/** What no detection is told of, whoever does it. */
const silent: readonly PolicyRule[] = [
  { level: 'None', resources: [{ group: 'coordination.k8s.io', resources: ['leases'] }] },
  {
    level: 'None',
    userGroups: [`system:serviceaccounts:${systemNamespace}`],
    resources: [{ group: 'zen.kube-zen.io' }],
  },
  // Nothing of ours may be what wakes us.
  { level: 'None', userGroups: ourAccounts, namespaces: [systemNamespace] },
  // Knative watches its own Secrets, its gateway those of all namespaces, and each watch is opened again every few minutes.
  {
    level: 'None',
    userGroups: accountsOf(knativeNamespaces),
    verbs: ['get', 'list', 'watch'],
    namespaces: [...knativeNamespaces, ''],
    resources: [{ group: '', resources: ['secrets'] }],
  },
  {
    level: 'None',
    resources: [
      { group: '', resources: ['configmaps'], resourceNames: ['cluster-autoscaler-status', 'kube-root-ca.crt'] },
    ],
  },
  {
    level: 'None',
    userGroups: ['system:unauthenticated'],
    nonResourceURLs: [
      '/healthz*',
      '/livez*',
      '/readyz*',
      '/version',
      '/api',
      '/apis',
      '/openapi*',
      '/.well-known/openid-configuration',
      '/openid/v1/jwks',
    ],
  },
  {
    level: 'None',
    userGroups: ['system:unauthenticated'],
    verbs: ['get'],
    namespaces: ['kube-public'],
    resources: [{ group: '', resources: ['configmaps'], resourceNames: ['cluster-info'] }],
  },
];

/** What the control plane does that is told: before everything else of it is left out. */
const ofSystem: ReadonlySet<string> = new Set([
  'pod-exec-suspicious',
  'pod-exec',
  'rbac-change',
  'token-request',
  'proxy-access',
]);

const tokens = [{ group: '', resources: ['serviceaccounts/token'] }];

const ordinaryTokens: readonly PolicyRule[] = [
  { level: 'None', userGroups: ['system:nodes'], resources: tokens },
  { level: 'None', users: ['system:kube-controller-manager'], namespaces: ['kube-system'], resources: tokens },
  { level: 'None', users: ['system:apiserver'], resources: [{ group: 'rbac.authorization.k8s.io' }] },
  {
    level: 'None',
    users: systemUsers,
    verbs: ['delete', 'deletecollection'],
    resources: [{ group: 'rbac.authorization.k8s.io' }],
  },
];

const levels: readonly Level[] = ['RequestResponse', 'Request', 'Metadata'];

function isLongRunning({ resources = [], verbs = [] }: LogRule): boolean {
  const sessions = /\/(?:exec|attach|portforward|proxy)$/;
  return resources.some((resource) => sessions.test(resource)) || verbs.includes('watch');
}

/** The key of what rules must have in common to be one. */
function selectorOf({ level, verbs, namespaces, userGroups, resourceNames }: LogRule, long: boolean): string {
  return JSON.stringify([level, verbs, namespaces, userGroups, resourceNames, long]);
}

function ruleOf(rules: readonly LogRule[], long: boolean): PolicyRule {
  const [{ level = 'Metadata', verbs, namespaces, userGroups, resourceNames } = {}] = rules;
  const groups = new Map<string, Set<string> | undefined>();
  for (const { group, resources } of rules) {
    if (group === undefined) continue;
    const known = groups.get(group);
    if (resources === undefined || (groups.has(group) && known === undefined)) groups.set(group, undefined);
    else groups.set(group, new Set([...(known ?? []), ...resources]));
  }
  const resources = [...groups].map(([group, names]) => ({
    group,
    ...(names && { resources: [...names] }),
    ...(resourceNames && { resourceNames }),
  }));
  return {
    level,
    ...(userGroups && { userGroups }),
    ...(verbs && { verbs }),
    ...(namespaces && { namespaces }),
    ...(resources.length > 0 && { resources }),
    ...(!long && { omitStages: ['ResponseStarted'] }),
  };
}

/** Rules of the same selection united, those that log most first: otherwise a rule that logs less would decide. */
function united(rules: readonly LogRule[]): PolicyRule[] {
  return levels.flatMap((level) => {
    const bySelector = Map.groupBy(
      rules.filter((rule) => rule.level === level),
      (rule) => selectorOf(rule, isLongRunning(rule)),
    );
    return [...bySelector.values()].map((same) => ruleOf(same, same.some(isLongRunning)));
  });
}

function rulesOf(isChosen: (name: string) => boolean): PolicyRule[] {
  return united(detections.filter(({ name }) => isChosen(name)).flatMap(({ logs = [] }) => logs));
}

/** `rest`: at what level everything is logged that no detection without * can match. */
function policy(rest: 'None' | 'Metadata'): unknown {
  const others = rest === 'None' ? {} : { omitStages: ['ResponseStarted'] };
  return {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived', 'Panic'],
    omitManagedFields: true,
    rules: [
      ...silent,
      ...ordinaryTokens,
      ...rulesOf((name) => ofSystem.has(name)),
      { level: rest, users: systemUsers, ...others },
      { level: rest, userGroups: ['system:nodes'], ...others },
      ...rulesOf((name) => !ofSystem.has(name)),
      { level: rest, ...others },
    ],
  };
}

const head = `# Generated by "npm run generate" from the detections of functions/audit/. Do not edit.
# For kube-apiserver's --audit-policy-file; AUDIT.md says how, what it costs, and which detections need more.
`;

export function auditPolicies(): [file: string, content: string][] {
  const text = (rest: 'None' | 'Metadata'): string =>
    head + stringify(policy(rest), { lineWidth: 120, aliasDuplicateObjects: false });
  return [
    ['audit-policy.yaml', text('None')],
    ['audit-policy-all.yaml', text('Metadata')],
  ];
}

/** A cell of a table in Markdown. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

/** The setting of each preset, whose default it is. */
const settingOf = {
  system: 'AUDIT_IGNORE_USERS',
  operators: 'AUDIT_OPERATORS',
  deployers: 'AUDIT_DEPLOYERS',
  secretReaders: 'AUDIT_SECRET_READERS',
  impersonators: 'AUDIT_IMPERSONATORS',
} as const satisfies Readonly<Record<keyof typeof presets, string>>;

/** What makes one finding of a person's; AUDIT.md says the same of machines. */
const oneFor: Readonly<Record<Grouping, string>> = {
  act: 'act',
  hour: 'hour and namespace',
  day: 'day and namespace',
  'user-hour': 'hour',
  object: 'object, whoever it is by',
  user: 'user',
  all: 'cluster',
};

function presetNames(exempt: readonly Preset[]): string {
  return exempt.map((preset) => settingOf[preset].replace('AUDIT_', '')).join(', ') || 'nobody';
}

/** The accounts of a namespace stand together. */
function presetRow(setting: string, preset: readonly string[]): string {
  const prefix = 'system:serviceaccount:';
  const byNamespace = Map.groupBy(
    preset.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length).split(':')),
    ([namespace = '']) => namespace,
  );
  const users = preset.filter((name) => !name.startsWith(prefix)).map((name) => `\`${name}\``);
  const accounts = [...byNamespace].map(
    ([namespace, of]) => `of ${namespace} ${of.map(([, name = '']) => `\`${name}\``).join(', ')}`,
  );
  return `| \`${setting}\` | ${cell([users.join(', '), ...accounts].filter((part) => part !== '').join('; '))} |`;
}

/** The table of detections, for people, and the presets of users that it leaves alone. */
export function auditTable(): string {
  const rows = detections.map(({ name, matches, severity, technique, bodies, isAboutWho, exempt, by }) => {
    const star = isAboutWho ? ' *' : '';
    const cells = [matches, severity, presetNames(exempt), oneFor[by], bodies, technique];
    return `| \`${name}\`${star} | ${cells.map(cell).join(' | ')} |`;
  });
  const users = [
    presetRow(settingOf.system, presets.system),
    presetRow(settingOf.operators, presets.operators),
    presetRow(settingOf.deployers, presets.deployers),
    presetRow(settingOf.secretReaders, presets.secretReaders),
    presetRow(settingOf.impersonators, presets.impersonators),
  ];
  return `# What the audit source detects

Generated by \`npm run generate\` from the detections of [functions/audit/](../functions/audit). Do not edit. [AUDIT.md](AUDIT.md) says
who counts as a stranger, a person, a deployer, and what makes one finding. The first row that matches names a finding, and the
worst of all rows that match is its severity. A row with * looks at who acts: see the second Policy there.

| detection | matches | severity | leaves alone | of a person one for each | reads of bodies | ATT&CK |
|---|---|---|---|---|---|---|
${rows.join('\n')}

## The presets

What \`+\` means in each setting: users by name, and ServiceAccounts by their namespace.

| setting | users |
|---|---|
${users.join('\n')}
`;
}
