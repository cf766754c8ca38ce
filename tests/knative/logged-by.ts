import * as z from 'zod';

const names = z.array(z.string()).optional();

const policySchema = z.object({
  omitStages: z.array(z.string()).default([]),
  rules: z.array(
    z.object({
      level: z.string(),
      users: names,
      userGroups: names,
      verbs: names,
      namespaces: names,
      resources: z.array(z.object({ group: z.string(), resources: names, resourceNames: names })).optional(),
      nonResourceURLs: names,
      omitStages: z.array(z.string()).default([]),
    }),
  ),
});

type Rule = z.infer<typeof policySchema>['rules'][number];

const eventSchema = z.object({
  stage: z.string(),
  verb: z.string(),
  requestURI: z.string(),
  user: z.object({ username: z.string(), groups: z.array(z.string()).default([]) }),
  objectRef: z
    .object({
      apiGroup: z.string().default(''),
      resource: z.string(),
      subresource: z.string().optional(),
      namespace: z.string().default(''),
      name: z.string().default(''),
    })
    .optional(),
});

type Event = z.infer<typeof eventSchema>;
type Resource = NonNullable<Event['objectRef']>;

/** By its name, by its subresource's, or by a wildcard for either. */
function includesResource(resources: readonly string[] | undefined, { resource, subresource }: Resource): boolean {
  const whole = subresource === undefined ? resource : `${resource}/${subresource}`;
  return (
    resources === undefined ||
    ['*', whole, ...(subresource === undefined ? [] : [`${resource}/*`, `*/${subresource}`])].some((one) =>
      resources.includes(one),
    )
  );
}

function concerns({ namespaces, resources }: Rule, of: Resource): boolean {
  const isThere = namespaces?.includes(of.namespace) ?? true;
  const isOne = resources?.some(
    ({ group, resources: names, resourceNames }) =>
      group === of.apiGroup && includesResource(names, of) && (resourceNames?.includes(of.name) ?? true),
  );
  return isThere && (isOne ?? true);
}

function isUrl(urls: readonly string[], uri: string): boolean {
  const [path = ''] = uri.split('?');
  return urls.some((url) => (url.endsWith('*') ? path.startsWith(url.slice(0, -1)) : path === url));
}

function matches(rule: Rule, { user, verb, requestURI, objectRef }: Event): boolean {
  if (rule.users && !rule.users.includes(user.username)) return false;
  if (rule.userGroups && !rule.userGroups.some((group) => user.groups.includes(group))) return false;
  if (rule.verbs && !rule.verbs.includes(verb)) return false;
  if (rule.namespaces || rule.resources) return objectRef !== undefined && concerns(rule, objectRef);
  if (rule.nonResourceURLs) return objectRef === undefined && isUrl(rule.nonResourceURLs, requestURI);
  return true;
}

/**
 * Whether kube-apiserver tells an event under an audit Policy: the first rule that matches decides.
 * https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#audit-policy
 */
export function loggedBy(policy: unknown): (event: unknown) => boolean {
  const { rules, omitStages } = policySchema.parse(policy);
  return (value) => {
    const event = eventSchema.parse(value);
    const rule = rules.find((one) => matches(one, event));
    return rule !== undefined && rule.level !== 'None' && ![...omitStages, ...rule.omitStages].includes(event.stage);
  };
}
