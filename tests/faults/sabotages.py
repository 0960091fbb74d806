"""Mistakes that must not go unnoticed: what is changed in the code, and the test that turns red by it."""

from typing import NamedTuple


class Change(NamedTuple):
    """`before` stands exactly once in `file`."""

    file: str
    before: str
    after: str


class Sabotage(NamedTuple):
    name: str
    changes: tuple[Change, ...]
    test: str


def _one(name: str, file: str, before: str, after: str, test: str) -> Sabotage:
    return Sabotage(name, (Change(file, before, after),), test)


_DURABLE, _COMMITS = "webhookd/store/sqlite/durable.py", "webhookd/store/group_commit.py"
_DISPATCHER, _LANE = "webhookd/dispatch/dispatcher.py", "webhookd/dispatch/lane.py"
_DIAL, _ROUTES = "webhookd/deliver/dial.py", "webhookd/receive/routes.py"
_ENTRANCE = "webhookd/receive/entrance.py"
_STRIPE, _LOGS = "webhookd/providers/stripe/signature.py", "webhookd/observe/logs.py"

STORE = (
    _one(
        "NORMAL for FULL: a commit is not synced",
        *(_DURABLE, "os.fdatasync(descriptor)", "pass"),
        "tests/store/test_durable.py::test_nobody_is_told_before_the_sync_has_returned_and_who_only_looks_need_not_wait",
    ),
    _one(
        "a sync that failed is passed over",
        *(
            _DURABLE,
            "        except OSError as error:\n            self._broken",
            "        except KeyError as error:\n            self._broken",
        ),
        "tests/store/test_durable.py::test_after_a_sync_that_failed_all_who_wait_hear_so_and_nothing_is_accepted",
    ),
    _one(
        "a WAL that was replaced is written on",
        *(_DURABLE, "if not is_in_place:", "if False:"),
        "tests/store/test_durable.py::test_a_wal_that_is_no_longer_in_its_place_is_a_broken_store",
    ),
    _one(
        "what is not synced yet is delivered",
        *("webhookd/store/sqlite/store.py", "self._writer.wal.shown(speaking(partial(", "(speaking(partial("),
        "tests/store/test_durable.py::test_the_dispatcher_is_shown_what_is_being_synced_only_once_it_is",
    ),
    Sabotage(
        "the ack comes before the commit",
        (
            Change(
                _COMMITS,
                "        try:\n            results = await self._commit(",
                "        try:\n            self._commit(",
            ),
            Change(
                _COMMITS,
                "[each.write for each in batch])\n        except",
                "[each.write for each in batch])\n            results = [None] * len(batch)\n        except",
            ),
        ),
        "tests/store/test_durability.py::test_closing_commits_what_has_queued",
    ),
    _one(
        "a broken store takes writes again",
        *(_COMMITS, "self._broken = error\n", "pass\n"),
        "tests/store/test_durability.py::test_after_an_io_error_nothing_is_accepted_any_more",
    ),
    _one(
        "no unique index over a provider's ids",
        *(
            "schema.sql",
            "UNIQUE (source, provider_event_id)      -- what",
            "UNIQUE (source, provider_event_id, key)  -- what",
        ),
        "tests/store/test_log_and_outbox.py::test_copies_in_one_batch_make_one_event",
    ),
    _one(
        "a late repeat of what retention has taken is a new event",
        *(
            "schema.sql",
            "CREATE TRIGGER event_is_past BEFORE INSERT ON event",
            "CREATE TRIGGER event_is_past BEFORE UPDATE ON event",
        ),
        "tests/store/test_retention.py::test_a_repeat_of_what_is_past_is_a_duplicate",
    ),
    _one(
        "retention takes what became pending meanwhile",
        *(
            "webhookd/store/sqlite/retention.sql",
            "(SELECT count(*) FROM attempt AS a WHERE a.event = e.key)\nFROM json_each(:keys) AS k JOIN event AS e ON e.key = k.value\nWHERE NOT EXISTS (SELECT 1 FROM delivery AS d\n                  WHERE d.event = e.key AND (d.state = 'pending' OR ",
            "(SELECT count(*) FROM attempt AS a WHERE a.event = e.key)\nFROM json_each(:keys) AS k JOIN event AS e ON e.key = k.value\nWHERE NOT EXISTS (SELECT 1 FROM delivery AS d\n                  WHERE d.event = e.key AND (",
        ),
        "tests/store/test_retention.py::test_what_became_pending_since_it_was_found_stays",
    ),
    _one(
        "an older fact overrides a newer one",
        *(
            "schema.sql",
            "status      = iif((NEW.major, NEW.minor, NEW.tie) > (major, minor, tie), NEW.status, status),",
            "status      = NEW.status,",
        ),
        "tests/store/test_ledger.py::test_a_payment_stands_with_its_refunds_in_whatever_order_they_come",
    ),
    _one(
        "refunds that are reported in full are added up",
        *(
            "schema.sql",
            "refunded    = coalesce(max(refunded, NEW.refunded), refunded, NEW.refunded),",
            "refunded    = coalesce(refunded + NEW.refunded, refunded, NEW.refunded),",
        ),
        "tests/store/test_ledger.py::test_a_payment_stands_with_its_refunds_in_whatever_order_they_come",
    ),
    _one(
        "two daemons on one directory",
        *("webhookd/store/data_dir.py", "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB"),
        "tests/daemon/test_life.py::test_a_second_daemon_on_the_same_data_is_refused_with_78",
    ),
    _one(
        "a newer webhookd's file is written to",
        *("webhookd/store/sqlite/connection.py", "if version > SCHEMA_VERSION or version < 1:", "if version < 1:"),
        "tests/store/test_migrations.py::test_a_newer_or_a_strangers_file_is_refused_and_left_alone",
    ),
    _one(
        "a migration commits half way",
        *(
            "webhookd/store/sqlite/migrate.py",
            'doing = "making indexes"\n',
            'doing = "making indexes"\n        connection.execute("COMMIT")\n        connection.execute("BEGIN")\n',
        ),
        "tests/store/test_migrations.py::test_kill_nine_at_any_point_leaves_the_old_schema_or_the_new_one",
    ),
    _one(
        "a copy that is not whole is called a backup",
        *("webhookd/store/sqlite/backup.py", 'draft = target.with_name(f".{target.name}{_DRAFT}")', "draft = target"),
        "tests/daemon/test_backup.py::test_a_kill_in_the_middle_of_a_backup_leaves_no_backup_and_the_next_start_clears_up",
    ),
)
DISPATCH = (
    _one(
        "settled before the merchant has answered",
        *(
            _DISPATCHER,
            "outcome = await self._attempt(lane.endpoint, due)",
            "outcome = Outcome(self._clock.now_ms(), 0)",
        ),
        "tests/dispatch/test_dispatcher.py::test_a_delivery_is_attempted_as_soon_as_it_is_committed",
    ),
    _one(
        "an attempt that could not be recorded is forgotten",
        *("webhookd/dispatch/recorder.py", "await self._clock.sleep(STORE_RETRY_MS / 1_000)\n", "return False\n"),
        "tests/dispatch/test_dispatcher.py"
        "::test_an_attempt_that_cannot_be_recorded_now_is_recorded_later_and_not_made_again",
    ),
    _one(
        "jitter is drawn anew at each look",
        *(
            "webhookd/store/sqlite/due.sql",
            "AND d.held = 0 AND d.due_at <= ?\n",
            "AND d.held = 0 AND d.due_at - abs(random() % 9999) <= ?\n",
        ),
        "tests/dispatch/test_simulation.py::test_whatever_merchants_people_and_the_disk_do_the_promises_hold",
    ),
    _one(
        "Retry-After is not honoured",
        *("webhookd/core/retry.py", "return max(wait, min(retry_after_ms or 0, RETRY_AFTER_MS_MAX))", "return wait"),
        "tests/core/test_retry.py::test_a_longer_retry_after_wins_and_a_shorter_one_does_not",
    ),
    _one(
        "one attempt more than the schedule has",
        *(
            "webhookd/core/retry.py",
            "if step >= len(self.waits_ms):\n            return None",
            "if step > len(self.waits_ms):\n            return None\n        step = min(step, len(self.waits_ms) - 1)",
        ),
        "tests/core/test_delivery.py::test_the_schedule_makes_exactly_as_many_attempts_as_it_has_waits",
    ),
    _one(
        "a paused endpoint is delivered to",
        *(
            _LANE,
            "self.endpoint = msgspec.structs.replace(self.endpoint, state=state, why=why)\n\n    def take_over",
            "self.endpoint = msgspec.structs.replace(self.endpoint, why=why)\n\n    def take_over",
        ),
        "tests/dispatch/test_dispatcher.py"
        "::test_an_endpoint_that_is_paused_starts_nothing_more_and_goes_on_when_it_is_resumed",
    ),
    _one(
        "what was cancelled is sent all the same",
        *(_DISPATCHER, "self.held_bytes -= lane.withdraw(key.event)", "pass"),
        "tests/dispatch/test_cancel.py::test_what_waits_in_the_window_is_not_started_any_more",
    ),
    _one(
        "one delivery twice at a time",
        *(_LANE, "self._known.add(due.event.key)\n        held.append(due)", "held.append(due)"),
        "tests/dispatch/test_cancel.py::test_what_a_read_of_the_disk_found_just_before_is_not_started",
    ),
    _one(
        "the breaker never opens",
        *(
            "webhookd/core/breaker.py",
            "if self._failures >= self._policy.failures_in_a_row:\n            return True",
            "return False",
        ),
        "tests/core/test_breaker.py::test_it_opens_with_the_last_of_so_many_failures_in_a_row",
    ),
    _one(
        "a payment's events overtake each other",
        *("schema.sql", "r.is_ordered AND EXISTS (\n", "0 AND EXISTS (\n"),
        "tests/dispatch/test_ordering.py::test_what_is_behind_one_that_fails_waits_and_goes_on_when_it_is_delivered",
    ),
    _one(
        "the watchdog is fed whatever is stuck",
        *("webhookd/observe/liveness.py", "if seconds >= probe.bound_s]", "if seconds < 0]"),
        "tests/observe/test_liveness.py::test_systemd_is_not_fed_while_something_is_stuck_and_hears_what",
    ),
)
DELIVER = (
    _one(
        "another id with each attempt",
        *("webhookd/deliver/courier.py", '"webhook-id": event_id,', '"webhook-id": f"{event_id}{due.attempts}",'),
        "tests/crash/test_kill_nine.py::test_kill_nine_at_every_step_loses_nothing_and_doubles_nothing",
    ),
    _one(
        "a redirect counts as delivered",
        *("webhookd/deliver/courier.py", "if 200 <= status < 300:", "if 200 <= status < 400:"),
        "tests/deliver/test_attempt.py::test_2xx_is_success_and_everything_else_is_a_failure_with_a_word_for_it",
    ),
    Sabotage(
        "the guard asks only where names lead",
        (
            Change(
                _DIAL,
                "try:\n                self._check(each[4], origin)",
                "try:\n                as_number(origin.host, origin.port) or self._check(each[4], origin)",
            ),
            Change(_DIAL, "self._check(connected.getpeername(), origin)", "pass"),
        ),
        "tests/deliver/test_ssrf.py::test_the_guard_alone_stops_them_where_the_socket_is_dialled",
    ),
    _one(
        "the guard is not asked who was reached",
        *(_DIAL, "self._check(connected.getpeername(), origin)", "pass"),
        "tests/deliver/test_transport_dial.py::test_the_address_that_was_reached_is_judged_too",
    ),
    _one(
        "a delivery may go to ourselves",
        *("webhookd/deliver/guard.py", "if port in self.own_ports and any(", "if False and any("),
        "tests/deliver/test_guard.py::test_our_own_listeners_are_closed_inside_opened_networks_and_nothing_else_there",
    ),
    _one(
        "all of a merchant's answer is kept",
        *(
            "webhookd/deliver/answer.py",
            "return self._complete or len(self._body) >= RESPONSE_BYTES_MAX",
            "return self._complete",
        ),
        "tests/deliver/test_answer.py::test_an_answer_is_the_same_wherever_it_is_cut",
    ),
)
RECEIVE = (
    _one(
        "a wrong signature will do",
        *(_STRIPE, 'if not match:\n            return Refused("wrong_signature")', "pass"),
        "tests/receive/test_forgeries.py"
        "::test_a_forged_body_gets_the_answer_of_every_bad_signature_and_raises_the_alarm",
    ),
    _one(
        "a signature is good for ever",
        *(_STRIPE, "if abs(now_s - timestamp) > TOLERANCE_S:\n            return STALE", "pass"),
        "tests/receive/test_deadlines.py::test_a_signature_holds_for_five_minutes_either_way",
    ),
    _one(
        "of several secrets the first one only",
        *(_STRIPE, "for key in self._keys:", "for key in self._keys[:1]:"),
        "tests/receive/test_signatures.py::test_any_of_a_sources_secrets_will_do_while_they_are_rotated",
    ),
    _one(
        "a compressed body is taken as it is",
        *(_ROUTES, 'if "Expect" in headers or "Content-Encoding" in headers or', 'if "Expect" in headers or'),
        "tests/receive/test_bad_framing.py::test_an_encoded_body_is_never_decoded",
    ),
    _one(
        "a slow body is waited for",
        *(_ROUTES, "async with asyncio.timeout(BODY_S):", "async with asyncio.timeout(None):"),
        "tests/receive/test_deadlines.py::test_a_body_that_stays_away_is_not_waited_for",
    ),
    _one(
        "any number of bodies at a time",
        *(_ROUTES, "if self._reading_bytes > READING_BYTES_MAX:", "if False:"),
        "tests/receive/test_deadlines.py"
        "::test_what_is_being_received_all_together_is_bounded_and_the_rest_is_asked_to_come_again",
    ),
    _one(
        "whoever comes is taken in, however many are",
        *(_ENTRANCE, "if self._line or not self._has_room(size):", "if False:"),
        "tests/receive/test_entrance.py::test_no_more_are_inside_than_may_be_whichever_way_they_came",
    ),
    _one(
        "nobody is refused however long others wait",
        *(_ENTRANCE, "self._now_s() - self._moved_s > WAIT_S or", ""),
        "tests/receive/test_entrance.py"
        "::test_who_comes_while_nobody_is_called_is_told_to_come_again_and_those_who_wait_are_taken",
    ),
    _one(
        "however long the line is, everybody in it waits for all of it",
        *(_ENTRANCE, "place = -1 if now_s - self._line[0].since_s > WAIT_S else 0", "place = 0"),
        "tests/receive/test_entrance.py"
        "::test_once_the_first_have_waited_for_long_the_last_is_the_next_and_the_first_are_refused_in_time",
    ),
    _one(
        "who left while he waited is taken all the same",
        *(
            _ROUTES,
            "elif request.transport is None:\n            self._entrance",
            "elif False:\n            self._entrance",
        ),
        "tests/receive/test_entrance.py::test_who_has_left_before_his_turn_is_not_taken",
    ),
    _one(
        "all who are refused are told to come back at one time",
        *("webhookd/receive/replies.py", "OVERLOADED_RETRY_S = range(1, 6)", "OVERLOADED_RETRY_S = [5]"),
        "tests/receive/test_entrance.py::test_those_who_are_refused_together_are_not_told_to_come_back_together",
    ),
    _one(
        "a fault of ours keeps its place",
        *(
            _ROUTES,
            "            if not isinstance(begun, Begun):\n                self._entrance.leave(len(hook.body))",
            "            pass",
        ),
        "tests/receive/test_entrance.py::test_a_fault_of_ours_keeps_no_place_inside",
    ),
    _one(
        "hooks are taken while the store is not fit for it",
        *(_ROUTES, "if self._unready() is not None:\n            return False", "pass"),
        "tests/receive/test_at_once.py::test_a_hook_that_comes_whole_is_refused_as_any_other_while_not_ready",
    ),
)
ADMIN = (
    _one(
        "any token opens the door",
        *("webhookd/admin/door/doorkeeper.py", "if hmac.compare_digest(each.sha256, sha256):", "if sha256:"),
        "tests/admin/test_access.py::test_a_token_that_is_nearly_right_is_wrong",
    ),
    _one(
        "a form of another session is heeded",
        *(
            "webhookd/admin/dashboard/frame/site.py",
            "if not wanted or not hmac.compare_digest(given.encode(), wanted.encode()):",
            "if False:",
        ),
        "tests/dashboard/test_csrf.py::test_a_form_that_was_not_made_for_who_is_in_changes_nothing",
    ),
    _one(
        "card numbers in the log",
        *(_LOGS, '    text = without_card_numbers(text, lambda _digits: "[card number]")\n', ""),
        "tests/observe/test_logs.py::test_a_card_number_is_masked_wherever_it_stands",
    ),
    _one(
        "a sender's bytes forge lines of the log",
        *(
            _LOGS,
            "return (text if text.isprintable() else ascii(text)[1:-1])[:VALUE_CHARS_MAX]",
            "return text[:VALUE_CHARS_MAX]",
        ),
        "tests/observe/test_logs.py::test_what_could_forge_a_line_or_steer_a_terminal_is_escaped",
    ),
    _one(
        "a line of the log as long as somebody likes",
        *(_LOGS, "ascii(text)[1:-1])[:VALUE_CHARS_MAX]", "ascii(text)[1:-1])"),
        "tests/observe/test_logs.py::test_a_line_stays_short_however_much_it_is_given",
    ),
)
NODES = (
    _one(
        "an attempt under an overtaken claim is recorded",
        *("webhookd/store/postgres/schema.sql", "JOIN claim USING (endpoint, fence)", "JOIN claim USING (endpoint)"),
        "tests/store/test_claims.py::test_an_attempt_under_an_overtaken_claim_changes_nothing",
    ),
    _one(
        "an alias stays bound to an event that is not in the log",
        *("webhookd/store/postgres/schema.sql", "a.event = ANY (bound) AND a.event <> ALL (keys);", "false;"),
        "tests/store/test_at_once.py::"
        "test_an_alias_that_came_with_a_known_id_is_bound_to_nothing_that_is_not_in_the_log",
    ),
    _one(
        "a batch whose answer was lost is given up",
        *("webhookd/store/postgres/commit.py", "            return await self._again(write)", "            raise"),
        "tests/store/test_at_once.py::"
        "test_a_batch_whose_answer_was_lost_is_in_the_log_once_and_is_taken_for_what_it_was",
    ),
    _one(
        "a node goes on though its lease has run out",
        *(
            "webhookd/dispatch/tenure.py",
            "if endpoint in self._ending or self.has_lapsed:",
            "if endpoint in self._ending:",
        ),
        "tests/dispatch/test_nodes.py::test_a_node_whose_lease_has_run_out_begins_nothing_until_it_is_heard_again",
    ),
    _one(
        "what comes too late of an old claim ends the one that was made since",
        *("webhookd/dispatch/tenure.py", "if fence is None or self._fences.get(endpoint) == fence:", "if True:"),
        "tests/dispatch/test_nodes.py::"
        "test_what_comes_too_late_of_an_old_claim_takes_nothing_from_the_one_that_a_node_has_by_now",
    ),
    _one(
        "a change whose COMMIT was lost is taken for committed",
        *("webhookd/store/postgres/commit.py", "return bool(row == (number,))", "return True"),
        "tests/daemon/test_postgres_away.py::"
        "test_who_changed_something_knows_whether_it_was_committed_though_the_server_forgot_the_transaction",
    ),
    _one(
        "a server that hangs up as it is greeted is taken for one that will not do TLS",
        *("webhookd/store/postgres/database.py", ' and "rejected" in str(error)', ""),
        "tests/daemon/test_postgres_away.py::test_a_server_that_hangs_up_as_it_is_greeted_is_waited_for",
    ),
    _one(
        "what is committed for another node's endpoint is not called out",
        *("webhookd/dispatch/tenure.py", "if away is None or away:", "if away is None:"),
        "tests/dispatch/test_nodes.py::test_what_a_node_that_only_receives_has_taken_another_delivers",
    ),
)
_RELAY = "webhookd/relay/relay.py"
RELAY = (
    _one(
        "a row leaves its outbox before its event is durable",
        _RELAY,
        "        offered = await asyncio.gather(",
        "        self._in_log.update(row.key for row in rows)\n        await self._take_out()\n        offered = await asyncio.gather(",
        "tests/relay/test_relay.py::test_a_row_is_taken_out_of_the_table_only_once_it_is_durably_in_the_log",
    ),
    _one(
        "an outbox is read on from where it was left",
        "webhookd/relay/postgres.py",
        "        return [self._row(*row) for row in rows]\n",
        "        rows = [row for row in rows if row[5] > getattr(self, '_last', 0)]\n        self._last = max([getattr(self, '_last', 0), *(row[5] for row in rows)])\n        return [self._row(*row) for row in rows]\n",
        "tests/relay/test_relay.py::test_a_transaction_that_began_first_and_commits_last_is_not_missed",
    ),
    _one(
        "a row whose id is that of another event leaves its outbox",
        *(_RELAY, "if appended.conflict:", "if False:"),
        "tests/relay/test_relay.py::test_rows_that_can_never_be_taken_say_why_and_hold_up_none",
    ),
    _one(
        "rows that an outbox has marked are taken anew when it is to delete them",
        *("webhookd/relay/shape.py", "if MARK in self.columns else", "if self.is_marked else"),
        "tests/relay/test_relay.py::test_rows_that_were_marked_once_are_not_taken_again_when_rows_are_to_be_deleted",
    ),
)
_MOVED, _TARGET = "webhookd/store/move/move.py", "webhookd/store/move/target.py"
_KILLED_MOVE = "tests/store/test_move.py::test_killed_at_any_point_it_leaves_one_store_that_opens_and_goes_on"
MOVE = (
    _one(
        "what changes while a log is moved is left behind",
        *(_MOVED, "if source.gist(stretch) + era != gist:", "if False:"),
        "tests/store/test_move.py::test_what_changes_after_it_was_copied_is_copied_again",
    ),
    _one(
        "for a moment the log is in two stores that open",
        *(
            _MOVED,
            "        mark_moved(self._path, self._log, shown, now_ms)\n        await self._target.let_in()",
            "        await self._target.let_in()\n        mark_moved(self._path, self._log, shown, now_ms)",
        ),
        _KILLED_MOVE,
    ),
    _one(
        "half of a log opens",
        *(_TARGET, "    UPDATE webhookd SET schema_version = {unfinished};\n", ""),
        _KILLED_MOVE,
    ),
    _one(
        "what a move has written is not read back",
        *("webhookd/store/move/writing.py", "if len(found) != len(rows) or", "if False and"),
        "tests/store/test_move.py::test_what_does_not_arrive_is_noticed_and_not_kept",
    ),
)
SABOTAGES = (*STORE, *DISPATCH, *DELIVER, *RECEIVE, *ADMIN, *NODES, *RELAY, *MOVE)
