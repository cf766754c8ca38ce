import { isDeepStrictEqual } from 'node:util';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from '../cluster/cluster.ts';
import { startFunction } from '../cluster/functions.ts';
import { type Program, startProgram, until, within } from '../host/program.ts';
import { anObservation } from '../view/an-observation.ts';
import { desktop, openTab, picture, rowsOf, skipWithoutBrowser, startBrowser, violationsOn } from './browser.ts';

const api = '/apis/zen.kube-zen.io/v1';
const rbac = '/apis/rbac.authorization.k8s.io/v1';
const users = ['security', 'shopkeeper', 'nobody'] as const;

/** The names that a list with a token gives, wherever that may be. */
async function listed(cluster: Cluster, path: string, token: string): Promise<string[] | number> {
  const { status, body } = await cluster.request('GET', path, undefined, { token });
  if (status !== 200) return status;
  return body.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name).sort();
}

const tableAnswer = z.object({ items: z.array(z.object({ name: z.string() })), isComplete: z.boolean() });

describe.skipIf(skipWithoutCluster() || skipWithoutBrowser())(
  'the page on a real API server',
  { timeout: 120_000 },
  () => {
    let cluster: Cluster;
    let program: Program;
    let browser: Browser;

    beforeAll(async () => {
      cluster = await startCluster({ users: users.map((name) => ({ name })) });
      await applyCrds(cluster);
      for (const namespace of ['shop', 'bank', 'zen-system']) await cluster.namespace(namespace);
      for (let at = 0; at < 30; at += 1) {
        const namespace = at % 3 ? 'bank' : 'shop';
        const { uid: _uid, creationTimestamp: _created, ...metadata } = anObservation().metadata;
        const object = anObservation({ spec: { rule: `rule-${at % 4}`, summary: `finding ${at} in ${namespace}` } });
        const labels = { 'zen.kube-zen.io/state': 'open' };
        const named = { ...object, metadata: { ...metadata, name: `finding-${at}`, namespace, labels } };
        const { status } = await cluster.request('POST', `${api}/namespaces/${namespace}/observations`, named);
        expect(status).toBe(201);
      }
      const rules = [{ apiGroups: ['zen.kube-zen.io'], resources: ['observations'], verbs: ['get', 'list', 'watch'] }];
      const writes = [{ apiGroups: ['zen.kube-zen.io'], resources: ['observationexceptions'], verbs: ['create'] }];
      const roleOf = (kind: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name: 'reader' });
      const subject = (name: string) => [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }];
      await cluster.request('POST', `${rbac}/clusterroles`, { metadata: { name: 'reader' }, rules });
      await cluster.request('POST', `${rbac}/clusterrolebindings`, {
        metadata: { name: 'reader' },
        roleRef: roleOf('ClusterRole'),
        subjects: subject('security'),
      });
      await cluster.request('POST', `${rbac}/namespaces/shop/roles`, { metadata: { name: 'accepter' }, rules: writes });
      await cluster.request('POST', `${rbac}/namespaces/shop/rolebindings`, {
        metadata: { name: 'accepter' },
        roleRef: { ...roleOf('Role'), name: 'accepter' },
        subjects: subject('shopkeeper'),
      });
      await cluster.request('POST', `${rbac}/namespaces/shop/rolebindings`, {
        metadata: { name: 'reader' },
        roleRef: roleOf('ClusterRole'),
        subjects: subject('shopkeeper'),
      });
      const { folder } = await cluster.serviceAccount('page', []);
      program = await startFunction('page', { server: cluster.server, folder });
      browser = await startBrowser();
    }, 900_000);

    afterAll(async () => {
      await browser.close();
      await program.stop();
      await cluster.stop();
    });

    const asUser = (user: string) => ({ Authorization: `Bearer ${cluster.tokenOf(user)}` });

    /** The names that the page's table has. */
    async function shown(query: string, headers: Record<string, string>): Promise<string[] | number> {
      let names: string[] | number = [];
      await until('what somebody may see has been read', async () => {
        const response = await fetch(`${program.url}/observations/table?view=all&limit=1000${query}`, { headers });
        if (response.status !== 200) {
          names = response.status;
          return true;
        }
        const { items, isComplete } = tableAnswer.parse(await response.json());
        names = items.map(({ name }) => name).sort();
        return isComplete;
      });
      return names;
    }

    it.each([
      ['security', '', `${api}/observations`],
      ['security', '&namespace=bank', `${api}/namespaces/bank/observations`],
      ['shopkeeper', '', `${api}/observations`],
      ['shopkeeper', '&namespace=shop', `${api}/namespaces/shop/observations`],
      ['shopkeeper', '&namespace=bank', `${api}/namespaces/bank/observations`],
      ['nobody', '', `${api}/observations`],
      ['nobody', '&namespace=shop', `${api}/namespaces/shop/observations`],
    ])('%s sees by "%s" exactly what a list with that token gives', async (user, query, path) => {
      expect(await shown(query, asUser(user))).toEqual(await listed(cluster, path, cluster.tokenOf(user)));
    });

    it.each([
      ['/observations', 'shopkeeper', 403],
      ['/observations/counts', 'shopkeeper', 403],
      ['/observations/export', 'shopkeeper', 403],
      ['/observations?watch=1', 'shopkeeper', 403],
      ['/observations/one?namespace=bank&name=finding-1', 'shopkeeper', 403],
      ['/observations/one?namespace=shop&name=finding-0', 'shopkeeper', 200],
      ['/observations?namespace=shop', 'shopkeeper', 200],
      ['/observations?namespace=bank', 'shopkeeper', 403],
      ['/observations/session', 'nobody', 403],
    ])('asks the API server for %s, whatever it has read for others', async (path, user, status) => {
      await shown('', asUser('security'));
      const response = await fetch(program.url + path, { headers: asUser(user) });
      await response.body?.cancel();
      expect(response.status).toBe(status);
    });

    it.each<[what: string, headers: Record<string, string>]>([
      ['no token', {}],
      ['a token that is none', { Authorization: 'Bearer no-token' }],
      ['another way to sign in', { Authorization: 'Basic c2VjdXJpdHk6eA==' }],
      ['a token that would break the header', { 'X-Forwarded-Access-Token': 'a b' }],
    ])('answers 401 to %s', async (_what, headers) => {
      for (const path of ['/observations', '/observations/table', '/observations/one?namespace=shop&name=finding-0']) {
        expect((await fetch(program.url + path, { headers })).status).toBe(401);
      }
    });

    it('takes the token from the header that oauth2-proxy sends, too', async () => {
      const headers = { 'X-Forwarded-Access-Token': cluster.tokenOf('security') };
      expect(await shown('', headers)).toHaveLength(30);
    });

    it('shows no more when a right is taken away', async () => {
      const bindings = `${rbac}/namespaces/bank/rolebindings`;
      await cluster.request('POST', bindings, {
        metadata: { name: 'for-a-while' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reader' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'nobody' }],
      });
      await within(
        'a right acts',
        5,
        async () => (await shown('&namespace=bank', asUser('nobody'))) !== 403 || undefined,
      );
      await cluster.request('DELETE', `${bindings}/for-a-while`);
      await within('a right that is gone is gone', 30, async () => {
        return (await shown('&namespace=bank', asUser('nobody'))) === 403 || undefined;
      });
    });

    it('says how to get in, asks for a namespace, and shows it', async () => {
      const { page } = await openTab(browser);
      await page.goto(program.url);
      await page.getByRole('heading', { name: 'Sign in first' }).waitFor();
      await page.getByText('oauth2-proxy').waitFor();
      expect(await violationsOn(page)).toEqual([]);
      await picture(page, 'no-token');
      const context = await browser.newContext({ extraHTTPHeaders: asUser('shopkeeper'), viewport: desktop });
      const tab = await context.newPage();
      await tab.goto(program.url);
      await tab.getByRole('heading', { name: 'Which namespace?' }).waitFor();
      expect(await violationsOn(tab)).toEqual([]);
      await tab.getByLabel('Namespace').fill('shop');
      await tab.getByRole('button', { name: 'Show it' }).click();
      await expect.poll(() => rowsOf(tab).count()).toBe(10);
      await tab.getByText('Live', { exact: true }).waitFor();
      const object = anObservation({
        metadata: { name: 'late', namespace: 'shop', labels: {} },
        spec: { summary: 'came late' },
      });
      const { creationTimestamp: _created, ...metadata } = object.metadata;
      await cluster.request('POST', `${api}/namespaces/shop/observations`, { ...object, metadata });
      await within('a change is visible', 1, async () => (await tab.getByText('came late').count()) > 0 || undefined);
      await tab.goto(`${program.url}/?namespace=bank`);
      await tab.getByText('You may not see the findings in bank').waitFor();
      await picture(tab, 'namespace');
    });

    it('applies an exception for whoever may, from the page alone, and never more than the token may', async () => {
      const exception = {
        apiVersion: 'zen.kube-zen.io/v1alpha1',
        kind: 'ObservationException',
        metadata: { name: 'by-hand', namespace: 'shop' },
        spec: { match: { rules: ['rule-1'] }, reason: 'x' },
      };
      const post = (user: string, headers: Record<string, string>) =>
        fetch(`${program.url}/observations/exceptions?namespace=shop`, {
          method: 'POST',
          headers: { ...asUser(user), ...headers },
          body: JSON.stringify(exception),
        });
      const ours = { 'Content-Type': 'application/json', 'X-Requested-By': 'zen-watcher' };
      expect((await post('shopkeeper', { 'Content-Type': 'application/json' })).status).toBe(403);
      expect((await post('shopkeeper', { ...ours, 'Content-Type': 'text/plain' })).status).toBe(403);
      const refused = await post('security', ours);
      expect(refused.status).toBe(403);
      expect(await refused.json()).toMatchObject({ error: 'the exception was not applied' });
      const context = await browser.newContext({ extraHTTPHeaders: asUser('shopkeeper'), viewport: desktop });
      const tab = await context.newPage();
      await tab.goto(`${program.url}/?namespace=shop&finding=shop/finding-3`);
      const finding = tab.getByRole('complementary', { name: 'One finding' });
      await finding.getByText('Accept', { exact: true }).click();
      await finding.getByLabel('Why').fill('only in the demo shop');
      await finding.getByRole('button', { name: 'Apply' }).click();
      await finding.getByText('Applied').waitFor();
      const { body } = await cluster.request(
        'GET',
        '/apis/zen.kube-zen.io/v1alpha1/namespaces/shop/observationexceptions/accept-finding-3',
      );
      expect(body.spec).toMatchObject({ match: { rules: ['rule-3'] }, reason: 'only in the demo shop' });
      await context.close();
    });

    it('shows the cluster in local mode, too, with the rights of the kubeconfig', async () => {
      const addEvent = async (name: string): Promise<void> => {
        const object = anObservation({ metadata: { name, namespace: 'bank', labels: {} }, spec: { rule: name } });
        const { creationTimestamp: _created, uid: _uid, ...metadata } = object.metadata;
        await cluster.request('POST', `${api}/namespaces/bank/observations`, { ...object, metadata });
      };
      // Without a state: a pass deletes those of a source that no longer reports them.
      for (let at = 0; at < 12; at += 1) await addEvent(`event-${at}`);
      const local = await startProgram({ args: ['--port', '0', '--kubeconfig', cluster.kubeconfig()] });
      try {
        const { page, faults, context } = await openTab(browser);
        await page.goto(`${local.url}/?search=event-`);
        await page.getByText('Live', { exact: true }).waitFor();
        await until('rows', async () => (await rowsOf(page).count()) === 12);
        await page.goto(`${local.url}/?finding=bank/event-1`);
        const finding = page.getByRole('complementary', { name: 'One finding' });
        await finding.getByText('Accept', { exact: true }).click();
        await finding.getByLabel('Why').fill('seen in local mode');
        await finding.getByRole('button', { name: 'Apply' }).click();
        await finding.getByText('Applied').waitFor();
        const exceptions = '/apis/zen.kube-zen.io/v1alpha1/namespaces/zen-system/observationexceptions';
        const { body } = await cluster.request('GET', `${exceptions}/accept-event-1`);
        expect(body.spec).toMatchObject({ reason: 'seen in local mode' });
        await page.goto(`${local.url}/?search=late-event`);
        await page.getByText('Live', { exact: true }).waitFor();
        await addEvent('late-event');
        await within('a change is visible', 1, async () => (await rowsOf(page).count()) === 1 || undefined);
        await until('the page to show what a list gives', async () => {
          const table = await fetch(`${local.url}/observations/table?view=all&limit=1000`);
          const names = tableAnswer.parse(await table.json()).items.map(({ name }) => name);
          const all = await cluster.request('GET', `${api}/observations`);
          const listed = all.body.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);
          return isDeepStrictEqual(names.sort(), listed.sort());
        });
        expect(faults).toEqual([]);
        await context.close();
      } finally {
        await local.stop();
      }
    });

    it('logs no token', () => {
      const tokens = users.map((user) => cluster.tokenOf(user));
      expect(program.log.filter((line) => tokens.some((token) => line.includes(token)))).toEqual([]);
    });
  },
);
