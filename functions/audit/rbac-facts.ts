import * as z from 'zod';
import { at, isRecord, recordsIn, textAt, textsIn } from './values.ts';

const names = z.array(z.string());

const subjectSchema = z.object({ kind: z.string(), name: z.string(), namespace: z.string().optional() });
const ruleSchema = z.object({ verbs: names, resources: names, resourceNames: names, urls: names });

/** Who is given what by a Role or a binding, as the body of a request or its result says. */
export const rbacFacts = z.object({
  roleRef: z.object({ name: z.string() }).optional(),
  subjects: z.array(subjectSchema),
  rules: z.array(ruleSchema),
});

export type RbacFacts = z.infer<typeof rbacFacts>;
export type RbacRule = z.infer<typeof ruleSchema>;
export type RbacSubject = z.infer<typeof subjectSchema>;

const maxEntries = 200;

function roleRefOf(object: unknown): RbacFacts['roleRef'] {
  const name = textAt(object, 'roleRef', 'name');
  return name === undefined ? undefined : { name };
}

function subjectsOf(object: unknown): RbacSubject[] {
  return recordsIn(at(object, 'subjects'))
    .slice(0, maxEntries)
    .flatMap((subject) => {
      const name = textAt(subject, 'name');
      return name === undefined
        ? []
        : [{ kind: textAt(subject, 'kind') ?? 'User', name, namespace: textAt(subject, 'namespace') }];
    });
}

function rulesOf(object: unknown): RbacRule[] {
  return recordsIn(at(object, 'rules'))
    .slice(0, maxEntries)
    .map((rule) => ({
      verbs: textsIn(rule.verbs),
      resources: textsIn(rule.resources),
      resourceNames: textsIn(rule.resourceNames),
      urls: textsIn(rule.nonResourceURLs),
    }));
}

/** The result of a write says everything; what was sent may be a patch. */
export function rbacFactsOf(sent: unknown, result: unknown): RbacFacts {
  const isResult = isRecord(result) && (isRecord(result.roleRef) || Array.isArray(result.rules));
  const object = isResult ? result : sent;
  return { roleRef: roleRefOf(object), subjects: subjectsOf(object), rules: rulesOf(object) };
}
