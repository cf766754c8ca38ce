import * as z from 'zod';
import { contentHash } from '../../shared/finding/canonical-json.ts';
import { maskText } from '../../shared/finding/mask-secrets.ts';
import { descriptiveText } from '../../shared/finding/object-schema.ts';
import { type Facts, factsOf, factsSchema } from './facts.ts';
import { textAt } from './values.ts';

const groups = z.array(z.string()).nullish().catch(undefined);

/** What proves who a user is; other extra values may be anything. */
const provingExtras = [
  'sessionName',
  'arn',
  'authentication.kubernetes.io/pod-name',
  'authentication.kubernetes.io/node-name',
  'authentication.kubernetes.io/credential-id',
] as const;

const extra = z
  .record(z.string(), z.union([z.array(z.string()), z.string()]))
  .nullish()
  .catch(undefined)
  .transform((values) => {
    const proving = provingExtras.flatMap((key) => {
      const value = values?.[key];
      const text = typeof value === 'string' ? value : value?.[0];
      return text ? [[key, [text]] as const] : [];
    });
    return proving.length > 0 ? Object.fromEntries(proving) : undefined;
  });

const user = z.object({ username: descriptiveText, groups, extra: extra.optional() }).nullish().catch(undefined);

const keptAnnotations = [
  'audit.k8s.io/truncated',
  'authorization.k8s.io/decision',
  'authorization.k8s.io/reason',
  'pod-security.kubernetes.io/audit-violations',
  'validation.policy.admission.k8s.io/validation_failure',
] as const;

const annotations = z
  .record(z.string(), z.unknown())
  .nullish()
  .catch(undefined)
  .transform((all) => {
    const kept = keptAnnotations.flatMap((key) => {
      const value = textAt(all, key);
      return value === undefined ? [] : [[key, maskText(value).slice(0, 4096)] as const];
    });
    return kept.length > 0 ? Object.fromEntries(kept) : undefined;
  });

const objectRef = z
  .object({
    resource: descriptiveText,
    subresource: descriptiveText,
    apiGroup: descriptiveText,
    apiVersion: descriptiveText,
    namespace: descriptiveText,
    name: descriptiveText,
  })
  .nullish()
  .catch(undefined);

const fields = z.object({
  kind: z.literal('Event').nullish(),
  apiVersion: z.enum(['audit.k8s.io/v1', 'audit.k8s.io/v1beta1']).nullish(),
  /** A log that was copied by hand may lack it; then the content of the event stands for it. */
  auditID: z.string().min(1).nullish(),
  stage: z.string().min(1).nullish(),
  requestURI: descriptiveText,
  verb: descriptiveText,
  user,
  impersonatedUser: user,
  sourceIPs: z.array(z.string()).nullish().catch(undefined),
  userAgent: descriptiveText.transform((agent) => agent && maskText(agent)),
  objectRef,
  responseStatus: z
    .object({ code: z.number().nullish().catch(undefined), message: descriptiveText })
    .nullish()
    .catch(undefined),
  requestReceivedTimestamp: descriptiveText,
  stageTimestamp: descriptiveText,
  /** Of Kubernetes before 1.8. */
  timestamp: descriptiveText,
  annotations: annotations.optional(),
  requestObject: z.unknown().optional(),
  responseObject: z.unknown().optional(),
  facts: factsSchema.optional(),
});

type Fields = z.infer<typeof fields>;

function factsIn({
  facts,
  objectRef: ref,
  requestURI,
  verb,
  requestObject,
  responseObject,
  responseStatus,
}: Fields): Facts {
  if (facts) return facts;
  return factsOf({
    group: ref?.apiGroup ?? '',
    resource: ref?.resource ?? '',
    subresource: ref?.subresource ?? undefined,
    requestURI: requestURI ?? '',
    verb: verb ?? undefined,
    requestObject,
    responseObject,
    message: responseStatus?.message ?? undefined,
  });
}

/** The path of a request, without its query, which may hold secrets. */
function pathOf(requestURI: string | null | undefined): string | undefined {
  return requestURI ? maskText(requestURI.replace(/\?[\s\S]*/, '').slice(0, 1024)) : undefined;
}

/** What an event without an auditID is told by. */
function idOf({ requestURI, verb, user: who, objectRef: ref, requestReceivedTimestamp }: Fields, facts: Facts): string {
  return contentHash({ requestURI, verb, username: who?.username, ref, requestReceivedTimestamp, facts });
}

/** Whether there is enough to tell what was asked. */
function saysWhat({ auditID, requestURI, verb, objectRef: ref }: Fields): boolean {
  return Boolean(auditID || requestURI || (verb && ref?.resource));
}

/** An audit event without its bodies: the facts that the detections name stand in place of them. */
export const auditEvent = fields.transform((parsed, context) => {
  const { requestObject: _sent, responseObject: _result, responseStatus, ...event } = parsed;
  if (!saysWhat(parsed)) {
    context.addIssue({ code: 'custom', path: ['auditID'], message: 'Invalid input: expected a string' });
    return z.NEVER;
  }
  const facts = factsIn(parsed);
  return {
    ...event,
    auditID: event.auditID ?? idOf(parsed, facts),
    stage: event.stage ?? 'ResponseComplete',
    requestURI: pathOf(event.requestURI),
    responseStatus: responseStatus?.code == null ? undefined : { code: responseStatus.code },
    facts,
  };
});

export type AuditEvent = z.infer<typeof auditEvent>;
