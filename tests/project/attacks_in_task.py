"""The list of attacks on approvals within a task, and on the sign-in that one asks for; as in `attacks`."""

IN_TASK = {
    "loopjacking: amount, currency, payee, account or their spelling changed after the yes": (
        "agents/test_challenge::test_loopjacking_a_changed_member_is_out_of_scope",
        "agents/test_consent::test_loopjacking_a_payee_changed_after_the_yes_is_out_of_scope",
        "mcp_servers/test_payments::test_a_call_that_differs_from_the_approval_is_out_of_scope",
        "mcp_servers/test_payments::test_a_call_that_leaves_a_member_out_moves_nothing",
    ),
    "loopjacking: a second operation, another tool, another account": (
        "agents/test_challenge::test_loopjacking_a_second_operation_is_out_of_scope",
        "mcp_servers/test_payments::test_an_approval_for_two_payments_is_refused",
        "mcp_servers/test_payments::test_another_tool_cannot_be_called_with_the_payment_token",
        "mcp_servers/test_payments::test_an_approved_payment_from_somebody_elses_account_is_refused",
    ),
    "callback: state missing, foreign, reused, doubled, of another task": (
        "agents/test_consent::test_a_callback_that_nobody_began_is_refused",
        "agents/test_consent::test_a_replayed_callback_in_another_browser_is_refused",
        "agents/test_consent::test_a_second_click_after_the_yes_says_so_and_pays_nothing",
        "agents/test_hostile_consent::test_the_state_of_another_task_of_the_same_person_answers_nothing",
        "agents/test_hostile_consent::test_a_callback_that_says_something_twice_answers_nothing",
    ),
    "callback: issuers mixed up, a code of another session, a no without its issuer": (
        "agents/test_consent::test_a_callback_of_a_mixed_up_issuer_is_refused",
        "agents/test_hostile_consent::test_code_injection_the_code_of_another_approval_answers_nothing",
        "agents/test_hostile_consent::test_a_no_that_nobody_said_at_the_bank_is_not_believed_without_the_issuer",
    ),
    "callback: after the task was cancelled, or its time was over": (
        "agents/test_hostile_consent::test_a_yes_that_arrives_after_the_task_was_taken_back_pays_nothing",
        "agents/test_hostile_consent::test_a_yes_that_arrives_after_its_time_pays_nothing",
    ),
    "the person who approves is not the task's; another login at the bank is linked": (
        "agents/test_consent::test_a_forwarded_link_is_of_no_use_to_another_person",
        "agents/test_consent::test_another_login_at_the_bank_completes_nothing",
        "providers/test_foreign_bank::test_another_customer_of_the_foreign_bank_approves_nothing_for_alice",
    ),
    "who resumes: another person or client, a guessed task, the agent itself, a credential in a message": (
        "agents/test_consent::test_another_person_cannot_answer_for_the_owner",
        "agents/test_other_actors::test_an_agent_does_not_decline_in_the_name_of_the_person",
        "agents/test_other_actors::test_an_agent_is_not_shown_what_another_started_for_the_same_person",
        "broker/test_waiting::test_a_yes_is_never_taken_here",
        "agents/test_consent::test_a_yes_in_a_message_is_no_answer",
        "agents/test_hostile_consent::test_a_credential_in_a_message_is_no_answer_and_is_kept_nowhere",
    ),
    "one consent used twice: again, at once, by two processes, renewed, after a restart, on another key": (
        "mcp_servers/test_payments::test_a_replayed_approval_with_a_new_payment_id_is_refused",
        "mcp_servers/test_payments::test_parallel_double_spend_debits_once",
        "mcp_servers/test_ledger::test_parallel_double_spend_by_two_processes_debits_once",
        "mcp_servers/test_payments::test_a_renewed_token_of_the_same_approval_returns_the_first_outcome",
        "mcp_servers/test_ledger::test_the_same_order_again_returns_the_first_outcome_and_moves_nothing",
        "agents/test_restart::test_killed_while_it_pays_the_money_moves_once",
        "server/test_two_processes::test_a_race_of_two_processes_for_what_is_good_once_has_one_winner",
    ),
    "it runs out, or the person signs out, while the task waits": (
        "agents/test_parking::test_a_question_that_nobody_answers_expires",
        "agents/test_parking::test_a_restart_does_not_prolong_the_time_for_an_answer",
        "broker/test_waiting::test_without_a_sign_in_the_task_waits_and_a_sign_in_ends_the_wait",
        "egress/test_hop::test_an_obo_hop_never_falls_back_to_the_service",
    ),
    "no, and silence": (
        "agents/test_consent::test_a_no_at_the_bank_rejects_the_task",
        "agents/test_consent::test_a_no_to_the_agent_rejects_the_task",
        "agents/test_parking::test_a_caller_may_allow_less_time_for_the_answer_and_never_more",
        "agents/test_parking::test_a_bank_that_goes_away_between_the_yes_and_the_token_is_asked_again_by_nobody",
    ),
    "the link comes from a malicious agent": (
        "broker/test_waiting::test_a_challenge_that_is_not_in_order_is_not_put_to_the_person",
        "broker/test_waiting::test_a_reading_agent_cannot_ask_for_an_approval",
        "web/test_asking::test_phishing_an_approval_that_leads_elsewhere_is_shown_and_not_opened",
        "web/test_protection::test_markup_in_what_agents_say_stays_text",
    ),
    "step-up: acr not granted, auth_time too old or to come, amr missing, an older token remembered": (
        "identity/test_step_up::test_an_acr_that_was_asked_for_and_not_granted_is_asked_for_again",
        "identity/test_step_up::test_an_auth_time_that_is_too_old_or_none_is_not_fresh",
        "identity/test_step_up::test_a_missing_second_factor_is_asked_for",
        "identity/test_verification_claims::test_times_are_kept_to_the_second",
        "egress/test_hop::test_a_new_login_of_the_same_person_gets_a_new_token",
        "egress/test_hop::test_a_weaker_token_of_the_same_login_does_not_get_what_a_stronger_one_got",
    ),
    "credentials at rest": (
        "agents/test_consent::test_no_credential_lies_in_the_open_and_none_is_left_at_the_end",
        "audit/test_vault::test_a_dump_of_the_files_shows_no_token_and_no_person",
        "journeys/test_leaks::test_no_file_of_the_network_holds_a_token",
    ),
}
