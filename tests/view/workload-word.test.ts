import { describe, expect, it } from 'vitest';
import type { ResourceRef } from '../../shared/finding/finding.ts';
import { workloadHash } from '../../shared/finding/name.ts';
import { workloadLabelOf, workloadTest, workloadWord } from '../../shared/view/workload-word.ts';

function resource(text: string, apiVersion?: string): ResourceRef {
  const [namespace = '', kind = '', ...name] = text.split(' ');
  return {
    ...(apiVersion !== undefined && { apiVersion }),
    kind,
    ...(name.length > 0 && { name: name.join(' ') }),
    ...(namespace !== '-' && { namespace }),
  };
}

const ofWeb = [
  'shop Deployment web',
  'shop Rollout web',
  'shop ReplicaSet web-7d9c5b6f4d',
  'shop Pod web-7d9c5b6f4d-x2x9z',
  'prod Deployment web',
];
const others = [
  'shop StatefulSet web',
  'shop Pod web-0',
  'shop Service web',
  'shop Deployment web-api',
  'shop Pod debug',
  '- Node web',
  'shop Secret db-password',
  'shop CronJob backup',
  'shop Job backup-29400000',
  'shop DaemonSet fluentd',
  'shop Pod fluentd-x2x9z',
  '- Image registry.example.com/a/b:1',
  'shop NetworkPolicy web-policy',
];

describe('workloadTest', () => {
  it.each<[word: string, expected: readonly string[]]>([
    ['deployment/web', ofWeb],
    ['Deployment/web', ofWeb],
    ['deployments/web', ofWeb],
    ['deploy/web', ofWeb],
    ['rollout/web', ofWeb],
    ['rollouts/web', ofWeb],
    ['pod/web-7d9c5b6f4d-x2x9z', ofWeb],
    ['po/web-7d9c5b6f4d-x2x9z', ofWeb],
    ['rs/web-7d9c5b6f4d', ofWeb],
    ['replicaset/web-7d9c5b6f4d', ofWeb],
    ['web', [...ofWeb, 'shop StatefulSet web', 'shop Pod web-0', 'shop Service web', '- Node web']],
    ['web-7d9c5b6f4d-x2x9z', ofWeb],
    ['shop/web', [...ofWeb.slice(0, 4), 'shop StatefulSet web', 'shop Pod web-0', 'shop Service web']],
    ['prod/deployment/web', ['prod Deployment web']],
    ['shop/deployment/web', ofWeb.slice(0, 4)],
    ['prod/shop/deployment/web', []],
    ['sts/web', ['shop StatefulSet web', 'shop Pod web-0']],
    ['statefulset/web', ['shop StatefulSet web', 'shop Pod web-0']],
    ['pod/web-0', ['shop StatefulSet web', 'shop Pod web-0']],
    ['pod/debug', ['shop Pod debug']],
    ['debug', ['shop Pod debug']],
    ['cj/backup', ['shop CronJob backup', 'shop Job backup-29400000']],
    ['job/backup-29400000', ['shop CronJob backup', 'shop Job backup-29400000']],
    ['ds/fluentd', ['shop DaemonSet fluentd', 'shop Pod fluentd-x2x9z']],
    ['rc/fluentd', ['shop DaemonSet fluentd', 'shop Pod fluentd-x2x9z']],
    ['service/api', []],
    ['service/web', ['shop Service web']],
    ['services/web', ['shop Service web']],
    ['secret/db-password', ['shop Secret db-password']],
    ['shop/Secret/db-password', ['shop Secret db-password']],
    ['networkpolicies/web-policy', ['shop NetworkPolicy web-policy']],
    ['node/web', ['- Node web']],
    ['registry.example.com/a/b:1', ['- Image registry.example.com/a/b:1']],
    ['Image/registry.example.com/a/b:1', ['- Image registry.example.com/a/b:1']],
    ['nothing', []],
    ['', []],
  ])('finds by %j', (word, expected) => {
    const test = workloadTest(word);
    expect([...ofWeb, ...others].filter((text) => test(resource(text)))).toEqual(expected);
  });
});

describe('workloadWord', () => {
  it.each<[of: string, apiVersion: string | undefined, expected: string]>([
    ['shop Deployment web', 'apps/v1', 'shop/web'],
    ['shop Pod web-7d9c5b6f4d-x2x9z', 'v1', 'shop/web'],
    ['shop StatefulSet web', undefined, 'shop/web'],
    ['shop Secret db-password', 'v1', 'shop/Secret/db-password'],
    ['- Node n1', 'v1', 'Node/n1'],
    ['kube-system ClusterRole admin', undefined, 'ClusterRole/admin'],
    ['shop Policy p', 'example.com/v1', 'shop/Policy/p'],
    ['shop Secret', 'v1', 'shop/Secret/'],
  ])('of %s (%s) is %s, and finds it', (of, apiVersion, expected) => {
    expect(workloadWord(resource(of, apiVersion))).toBe(expected);
    expect(workloadTest(expected)(resource(of, apiVersion))).toBe(true);
  });
});

describe('workloadLabelOf', () => {
  const web = { kind: 'Deployment', name: 'web', namespace: 'shop' };

  it.each<[word: string, expected: string | undefined]>([
    ['deployment/web', workloadHash(web)],
    ['pod/web-7d9c5b6f4d-x2x9z', workloadHash(web)],
    ['sts/web', workloadHash({ ...web, kind: 'StatefulSet' })],
    ['web', undefined],
    ['shop/web', undefined],
    ['service/web', undefined],
    ['deployment/', undefined],
    ['deployment/web/more', undefined],
  ])('of %j', (word, expected) => {
    expect(workloadLabelOf(word, 'shop')).toBe(expected);
  });
});
