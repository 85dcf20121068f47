"""The adapter with the real program: what `make build` made, or the file that ATLASSIAN_AUDIT_RECORDS_PROGRAM names."""
import os
import shutil
import unittest
from pathlib import Path

from harness import HERE, SECRET, agent, check, error, folder

BUILT = Path(os.environ.get('ATLASSIAN_AUDIT_RECORDS_PROGRAM') or HERE.parents[2] / 'bin' / 'atlassian-audit-records')


@unittest.skipUnless(BUILT.exists(), '%s is not there: run `make build` first' % BUILT)
class RealProgram(unittest.TestCase):
    def run_once(self, **changes):
        """One run in folders of its own; answers the check and the message of its error."""
        with folder() as place:
            program = shutil.copy(BUILT, place)  # the checkout may be writable by a group
            os.chmod(program, 0o755)
            run_path = os.path.join(place, 'run')
            os.mkdir(run_path, 0o700)
            made = check(program, init_config={'run_path': run_path}, **changes)
            with agent(run_path=run_path, logs_config__run_path=run_path, logs_enabled=True, log_level='debug'):
                failed = error(made.run())
            return made, failed

    def test_a_bad_configuration_is_explained_by_the_program_itself(self):
        made, failed = self.run_once(product=['jira'])
        self.assertIn('product', failed)
        self.assertIn('products', failed)
        self.assertNotIn('before it gave a result', failed)
        self.assertNotIn('program_path', failed)
        self.assertNotIn(SECRET, failed + repr(made.submitted))

    def test_a_site_that_cannot_be_reached_is_critical_and_says_so(self):
        made, failed = self.run_once(site='https://127.0.0.1:1', products=['jira'], timeout=2)
        self.assertIn('127.0.0.1:1', failed)
        self.assertNotIn('before it gave a result', failed)
        connected = [s for s in made.submitted if s[:2] == ('service_check', 'atlassian_audit_records.can_connect')]
        self.assertEqual([s[2] for s in connected], [made.CRITICAL] * len(connected))
        self.assertIn('site:127.0.0.1:1', connected[0][3])
        self.assertIn('env:test', connected[0][3])
        self.assertNotIn(SECRET, failed + repr(made.submitted))


if __name__ == '__main__':
    unittest.main()
