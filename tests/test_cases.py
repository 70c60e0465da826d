"""What users of NAS-Bench-201 tooling trip over (a collection of public reports, by number): each case has its test.

CASES names, for every case, the tests in which the expected behaviour is checked, or why it does not apply here.
"""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent
CASES: dict[int, str] = {
    1: "test_table.test_golden_rows, test_page.test_report_writes_its_files_and_a_page_that_stands_alone",
    2: "test_table.test_wrong_questions_list_the_right_ones",
    3: "test_table.test_golden_rows, test_campaign.test_a_campaign_leaves_what_the_contract_says",
    4: "test_campaign.test_a_campaign_leaves_what_the_contract_says",
    6: "test_table.test_answers_are_means_and_never_change",
    7: "test_table.test_mean_is_over_the_trials_there_are, test_table.test_missing_value_is_an_error_not_nan",
    9: "test_table.test_wrong_questions_list_the_right_ones; intermediate epochs are not in our table at all",
    11: "test_table.test_wrong_parameter_counts_of_the_official_files_are_named",
    12: "test_base.test_ten_queries_of_cell_284",
    13: "test_official.test_missing_times_are_nan_not_an_error, "
    "test_nb201.test_a_table_without_times_or_proxy_is_refused_at_once",
    14: "test_runner.test_scoring_is_tried_before_the_search",
    15: "test_table.test_validation_test_and_their_union_are_different_fields",
    17: "test_diagnostics.test_correlation_with_the_table_is_scipy_s_over_all_and_over_the_better_half; against "
    "the full schedule, as the axis says",
    18: "test_table.test_validation_test_and_their_union_are_different_fields",
    19: "test_nb201.test_a_table_without_times_or_proxy_is_refused_at_once",
    20: "test_table.test_golden_rows",
    21: "the proxy is the mean of its trials, one way for everybody; no option",
    23: "test_csv_table.test_wrong_csv",
    24: "test_cell.test_naslib_tuple_of_the_public_report",
    26: "test_frames.test_results_table_is_the_contract_with_hand_worked_numbers, "
    "test_campaign.test_finished_runs_are_kept_and_order_and_workers_do_not_matter",
    27: "test_cell.test_canonical_form_is_nats_bench_s, "
    "test_diagnostics.test_different_and_isomorphic_queries_are_counted",
    28: "test_show.test_show",
    29: "test_space.test_derivation_with_and_without_none, test_supernet.test_a_cell_by_hand",
    30: "test_cell.test_accepted_spellings, test_cell.test_anything_else_is_an_error_that_names_the_place, "
    "test_table.test_any_integer_is_an_index",
    32: "test_table_file.test_a_table_opens_in_little_memory",
    34: "test_show.test_no_table_anywhere",
    36: "test_images.test_a_file_with_a_wrong_md5_is_not_unpickled, "
    "test_table_file.test_wrong_files_are_one_clear_line; nothing is downloaded",
    38: "test_official.test_tensors_are_refused; the program asks for no weights",
    39: "test_images.test_md5_sums_are_eleven_plus_six_plus_two, test_images.test_wrong_folder_lists_what_is_missing, "
    "test_images.test_wrong_md5_names_the_batch",
    40: "the collection itself says that a numpy-only core does not apply",
    41: "test_table_file.test_neither_torch_nor_pandas_is_imported",
    42: "pyproject.toml turns our modules' DeprecationWarnings into errors in every test",
    43: "test_store.test_every_flipped_byte_of_a_checkpoint_is_found, "
    "test_contract.test_state_taken_at_every_step_continues_exactly",
    44: "test_cell.test_connected_and_collapsed_counts, "
    "test_notes.test_failed_collapsed_and_missing_random_are_warned_of",
    45: "test_space.test_derivation_with_and_without_none",
    48: "test_space.test_derivation_with_and_without_none",
    49: "test_supernet.test_batch_norm_of_the_supernet",
    50: "test_supernet.test_batch_norm_of_the_supernet; always the batch's statistics, which every table's notes say",
    52: "test_network.test_parameters_are_the_official_ones",
    53: "test_darts.test_weight_steps_leave_alphas_and_alpha_steps_leave_weights_bit_identical",
    54: "test_darts.test_second_order_gradient_is_the_exact_one_up_to_the_finite_difference",
    55: "test_darts.test_second_order_step_leaves_weights_and_momentum_bit_identical",
    56: "test_supernet.test_equal_alphas_weigh_every_operation_one_fifth",
    58: "test_images.test_official_splits_are_disjoint_halves, test_images.test_a_split_that_is_none_is_refused",
    59: "the collection itself says that a search over several ranks does not apply",
    60: "test_campaign.test_failures_are_recorded_and_the_others_go_on",
    61: "test_contract.test_every_registered_searcher_is_under_contract, test_contract.test_answers_and_counters",
    62: "test_frames.test_the_table_of_diagnostics_by_hand",
    63: "test_runner.test_a_stopped_search_continues_to_the_same_record",
    66: "test_campaign.test_finished_runs_are_kept_and_order_and_workers_do_not_matter",
    67: "test_contract.test_same_searches_in_another_process_and_under_another_hash_seed; no loader processes",
    70: "test_compare.test_campaigns_are_compared_by_seed",
    71: "test_markup.test_one_seed_has_no_spread_and_says_so",
    72: "test_inference.test_summary_of_five_searches_is_worked_by_hand",
    73: "test_notes.test_failed_collapsed_and_missing_random_are_warned_of",
    74: "test_frames.test_results_table_is_the_contract_with_hand_worked_numbers",
    75: "test_specs.test_seeds",
    76: "test_campaign.test_finished_runs_are_kept_and_order_and_workers_do_not_matter",
    78: "test_specs.test_seeds",
    79: "test_rsws.test_rsws_answers_the_best_of_its_candidates_on_all_validation_images",
    82: "test_table.test_known_optima, test_show.test_best",
    85: "every score is an accuracy in percent, higher is better; nothing else is compared",
    86: "test_page.test_headline_says_not_distinguishable_with_p_and_n",
    87: "test_inference.test_signed_rank_with_ties_and_zeros_over_all_signs, "
    "test_power.test_power_note_says_what_can_be_reached_before_anything_runs",
    89: "test_inference.test_constant_groups_by_rule, test_inference.test_constant_values_have_no_rounding_noise",
    91: "test_plots_search.test_bars_join_what_the_test_cannot_tell_apart",
    93: "test_inference.test_friedman_is_scipy_s_and_the_critical_differences_are_demsar_s; Nemenyi's alone makes the "
    "bars, and the pairs' own tests stand in comparisons.csv",
    95: "test_diagnostics.test_correlation_with_the_table_is_scipy_s_over_all_and_over_the_better_half",
}


def test_every_case_names_tests_that_there_are():
    tests = set()
    for path in HERE.glob("test_*.py"):
        names = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        tests |= {f"{path.stem}.{name}" for name in names if name.startswith("test_")}
    for number, text in CASES.items():
        for word in text.replace(",", " ").replace(";", " ").split():
            if word.startswith("test_"):
                named = word if "." in word else f"{Path(__file__).stem}.{word}"
                assert named in tests, f"case {number} names {word}"
