import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { corpusFiles, corpusMissing } from '../corpus/corpus.ts';
import { loggedBy } from './logged-by.ts';

const policy: unknown = parse(
  readFileSync(join(import.meta.dirname, '..', '..', 'knative', 'audit-policy.yaml'), 'utf8'),
);
const isLogged = loggedBy(policy);

const capture = z.object({
  events: z.array(
    z.object({
      count: z.number(),
      event: z.looseObject({
        verb: z.string(),
        user: z.looseObject({ username: z.string() }),
        objectRef: z.looseObject({ resource: z.string() }).optional(),
      }),
    }),
  ),
});

const request = {
  ...{ stage: 'ResponseComplete', verb: 'create', requestURI: '/api/v1/namespaces/zen-system/pods' },
  objectRef: { resource: 'pods', namespace: 'zen-system', name: 'webhook-00001-deployment-x' },
};

describe('the audit Policy, when nothing happens', () => {
  it.each([
    ['a controller makes a Pod of ours', 'system:serviceaccount:kube-system:replicaset-controller', {}, false],
    ['a control plane without accounts of its controllers does', 'system:kube-controller-manager', {}, false],
    ['the kubelet reports it', 'system:node:node-1', { verb: 'patch' }, false],
    ['somebody else makes one', 'eve', {}, true],
    [
      'Knative watches its Secrets',
      'system:serviceaccount:knative-eventing:eventing-controller',
      { verb: 'watch', objectRef: { resource: 'secrets', namespace: 'knative-eventing' } },
      false,
    ],
    [
      'its gateway watches all Secrets',
      'system:serviceaccount:knative-serving:net-kourier',
      { verb: 'watch', objectRef: { resource: 'secrets' } },
      false,
    ],
    [
      'Knative reads Secrets of others',
      'system:serviceaccount:knative-serving:controller',
      { verb: 'get', objectRef: { resource: 'secrets', namespace: 'shop', name: 'db' } },
      true,
    ],
  ])('tells as little as it can: %s', (_what, username, changed, expected) => {
    const [, , namespace] = username.split(':');
    const groups = username.startsWith('system:node:')
      ? ['system:nodes']
      : [`system:serviceaccounts:${namespace}`, 'system:authenticated'];
    expect(isLogged({ ...request, ...changed, user: { username, groups } })).toBe(expected);
  });

  describe.skipIf(corpusMissing !== undefined)('on a whole real cluster', () => {
    const captures = new Map(corpusFiles('cluster').map(({ file, text }) => [file, text]));

    it.each([
      ['ten quiet minutes', 'audit-quiet-hour', []],
      ['a function that wakes and sleeps again', 'audit-scale-from-zero', []],
      ['a person who rolls something out', 'audit-rollout', ['kubernetes-admin']],
    ])('wakes us for nobody but people: %s', (_what, name, who) => {
      const { events } = capture.parse(JSON.parse(captures.get(`cluster/${name}.json`) ?? ''));
      const told = events.filter(({ event }) => isLogged(event));
      const wakeUps = told.reduce((sum, { count }) => sum + count, 0);
      console.log(`${name}: ${wakeUps} of ${events.reduce((sum, { count }) => sum + count, 0)} requests`);
      expect([...new Set(told.map(({ event }) => event.user.username))]).toEqual(who);
    });
  });
});
